// The page of a sweep that runs: it asks whether records have changed, and loads itself again when they have.

function live(seconds) {
  const version = document.documentElement.dataset.version;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const now = await (await fetch("version", { cache: "no-store" })).json();
      element("live").textContent = `live: ${now.done} of ${now.total} cells`;
      if (now.version === version) return;
      sessionStorage.setItem(`${KEPT} scroll`, String(scrollY));
      location.reload();
    } catch {
      element("live").textContent = "live: the server does not answer";
    }
  }, 1000 * seconds);
  scrollTo(0, Number(sessionStorage.getItem(`${KEPT} scroll`) ?? 0));
  sessionStorage.removeItem(`${KEPT} scroll`);
}
