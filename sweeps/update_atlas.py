"""How far does one step move the output, by depth: a step of SGD, the first step of Adam, noise on every weight?

paper     DeepNet (Wang et al. 2022, arXiv 2203.00555), figure 5; Admin (Liu et al. 2020, arXiv 2004.08249);
          CompleteP (Dey et al. 2025, arXiv 2505.01618), table 1: three arguments for depth, in one table
command   python -m experiments.launch --config=sweeps/update_atlas.py --size=full --workdir=runs/update_atlas
smoke     8 cells
quick     120 cells, 24 programs
full      225 cells, 45 programs, a minute on 2 cores with nothing compiled yet
setting   as in sweeps/init_atlas.py; the step moves the blocks alone, the output is the normalised features of the head
expect    DeepNorm's SGD step does not depend on the depth and Post-LN's explodes; under Adam DeepNorm's grows as L^1/2,
          and KEEL's, its GLM variant's and that of 1/S branches do not grow; noise: Post-LN L, Pre-LN and Admin log L
"""

from experiments.claims import Above, Below, Claim, Greater, Quantity, Within
from experiments.column import Column
from experiments.figure_spec import Figure, Panel
from experiments.table_spec import Table
from sweeps.init_atlas import ARMS as ATLAS
from sweeps.init_atlas import DEPTH, get_hyper, known
from sweeps.init_atlas import get_config as at_start

__all__ = ["get_hyper"]  # that of the other atlas, over the arms and depths of this one

ARMS = {arm: row for arm, row in ATLAS.items() if row[1] not in ("DeepScaleLM", "OLMo 2", "no norm")}
QUICK = ("post", "admin", "deepnorm", "deepnorm-glm", "keel", "pre", "inverse-depth")
SIZES = {
    "smoke": {"arms": [("post", None), ("deepnorm", None)], "depths": [2, 6], "seeds": 2},
    "quick": {"arms": [arm for arm in ARMS if arm[0] in QUICK], "depths": [2, 8, 32], "seeds": 5},
    "full": {"arms": list(ARMS), "depths": [2, 8, 32], "seeds": 5},
}
SGD, SIGN, NOISE = "power of L: SGD", "power of L: sign (Adam)", "power of L: noise"
THEORY = {
    SGD: {"DeepNorm": "0"},
    SIGN: {"DeepNorm": "1/2", "DeepNorm-GLM": "0", "KEEL": "0", "Pre-LN": "1", "1/√S branch": "1/2", "1/S branch": "0"},
    NOISE: {"Post-LN": "1"},
}


def get_config():
    c = at_start()
    c.probe.start = False
    c.probe.update = True
    return c


def get_table(size):
    slope = {"over": DEPTH, "fit": "slope"}
    deep = {DEPTH: size["depths"][-1]}
    return Table(
        rows=("arm",),
        columns_of=(
            Column("update_sgd", SGD, **slope),
            Column("update_sign", SIGN, **slope),
            Column("amplification", NOISE, **slope),
            Column("update_sgd", f"SGD, {size['depths'][-1]} layers", at=deep, format=".3g"),
            Column("amplification", f"noise, {size['depths'][-1]} layers", at=deep, format=".3g"),
        ),
        metric="update_sgd",
        seeds=("seed.init", "seed.data"),
        groups={ARMS[arm][1]: ARMS[arm][0] for arm in size["arms"]},
        theory={title: known(powers, size) for title, powers in THEORY.items()},
        title="How far one step moves the output, by depth",
    )


def get_figure(size):
    panels = (("update_sgd", "a step of SGD"), ("update_sign", "the first step of Adam"), ("amplification", "noise"))
    return Figure(
        panels=tuple(Panel(y, x=DEPTH, log_x=True, log_y=True, title=title) for y, title in panels),
        lines=("arm",),
        title="How far one step moves the output",
    )


def slope(metric, wiring, init=None, fit="slope"):
    """The power of the depth that a metric grows by."""
    return Quantity(metric, {"arm": ARMS[wiring, init][1]}, over=DEPTH, fit=fit)


def deep(metric, wiring, layers=32):
    """A metric at one depth."""
    return Quantity(metric, {"arm": ARMS[wiring, None][1], DEPTH: layers})


def within(metric, powers, init=None):
    """The power of L of each wiring inside its range."""
    return tuple(Within(slope(metric, wiring, init), low, high) for wiring, (low, high) in powers.items())


def get_claims():
    deepnet = "DeepNet, Wang et al. 2022, arXiv 2203.00555"
    admin = "Admin, Liu et al. 2020, arXiv 2004.08249"
    completep = "CompleteP, Dey et al. 2025, arXiv 2505.01618, table 1"
    return [
        Claim(
            "DN-1",
            "a step of SGD moves a DeepNorm model equally far at every depth; under Post-LN it explodes, to more than "
            "a hundred times as far at 32 layers",
            f"{deepnet}, theorem 4.2, figure 5",
            "init",
            rule=(
                *within("update_sgd", {"deepnorm": (-0.12, 0.12)}),
                Above(slope("update_sgd", "post"), 1.2),
                Greater(deep("update_sgd", "post"), deep("update_sgd", "deepnorm"), 100, ratio=True),
            ),
            caveat="norms learn nothing here and the embedding is left out of the step; else the power is higher",
        ),
        Claim(
            "DN-2",
            "under Adam it is not constant: the first step grows as L^1/2, and not at all with GLM-130B's α = (2L)^1/2",
            f"{deepnet}; GLM-130B, Zeng et al. 2022, arXiv 2210.02414",
            "init",
            rule=within("update_sign", {"deepnorm": (0.35, 0.60), "deepnorm-glm": (-0.1, 0.1)}),
            caveat="the paper says its bound was verified for Adam too; this shows the power that is left",
        ),
        Claim(
            "KE-1",
            "KEEL's first step of Adam does not grow with depth",
            "Chen & Wei 2026, arXiv 2601.19895",
            "init",
            rule=within("update_sign", {"keel": (-0.1, 0.1)}),
        ),
        Claim(
            "ADM-1",
            "noise on the weights is amplified in proportion to L under Post-LN, to log L under Pre-LN and Admin",
            admin,
            "init",
            rule=(
                *within("amplification", {"post": (0.7, 1.6)}),
                Greater(slope("amplification", "post"), slope("amplification", "pre"), 0.3),
                *(Below(slope("amplification", wiring), 0.65) for wiring in ("pre", "admin")),
                *(Above(slope("amplification", w, fit="loglinear_r2"), 0.95) for w in ("pre", "admin")),
            ),
        ),
        Claim(
            "CP-2",
            "with branches times L^-α the first step of Adam grows as L^(1-α): 1, 1/2 and 0 for α = 0, 1/2, 1",
            completep,
            "init",
            rule=within(
                "update_sign", {"pre": (0.88, 1.12), "sqrt-depth": (0.38, 0.62), "inverse-depth": (-0.12, 0.12)}
            ),
            caveat="without the rules for the learning rate, which these powers are the reason of",
        ),
        Claim(
            "GI-2",
            "scaling the initial writers by 1/√S flattens the amplification of noise but not of updates: SGD and sign "
            "still grow as L",
            "GPT-2, Radford et al. 2019; calibrated values, not printed there",
            "init",
            rule=(
                *within("amplification", {"pre": (-0.1, 0.15)}, "gpt2"),
                *within("update_sgd", {"pre": (0.85, 1.2)}, "gpt2"),
                *within("update_sign", {"pre": (0.85, 1.15)}, "gpt2"),
            ),
        ),
        Claim(
            "B2T-2",
            "B2T amplifies noise less than half as much as Post-LN at 32 layers",
            "B2T, Takase et al. 2022, arXiv 2206.00330",
            "init",
            rule=(Greater(deep("amplification", "post"), deep("amplification", "b2t"), 2, ratio=True),),
        ),
        Claim(
            "SUB-1",
            "Sub-LN amplifies noise with a power of L below 0.7",
            "Magneto, Wang et al. 2022, arXiv 2210.06423",
            "init",
            rule=(Below(slope("amplification", "sub-ln"), 0.7),),
        ),
        Claim(
            "RD-U",
            "ResiDual's step of SGD grows with depth no less than Post-LN's: it cures the gradients, not the updates",
            "ResiDual, Xie et al. 2023, arXiv 2304.14802; calibrated values, not printed there",
            "init",
            rule=(Above(slope("update_sgd", "residual"), 1.2),),
        ),
        Claim(
            "LNS-U",
            "LayerNorm Scaling and Peri-LN lower the power of Adam's first step below Pre-LN's, to about 0.7 and 0.8",
            "The Curse of Depth, Sun et al. 2025, arXiv 2502.05795; calibrated values, not printed there",
            "init",
            rule=(
                Greater(slope("update_sign", "pre"), slope("update_sign", "layernorm-scaling"), 0.1),
                Greater(slope("update_sign", "pre"), slope("update_sign", "sandwich"), 0.02),
            ),
        ),
        Claim(
            "DN-A",
            "noise is amplified less the deeper a DeepNorm model is: L^-1/2, and L^-2 and L^-1 for its GLM variant and "
            "KEEL",
            f"{deepnet}; calibrated values, not printed there",
            "init",
            rule=within(
                "amplification", {"deepnorm": (-0.6, -0.4), "deepnorm-glm": (-2.15, -1.85), "keel": (-1.15, -0.85)}
            ),
        ),
        Claim(
            "TF-U",
            "T-Fixup's step of SGD is not constant in depth in a decoder",
            "T-Fixup, Huang et al. 2020, PMLR 119; calibrated values, not printed there",
            "init",
            rule=(Above(slope("update_sgd", "none", "t-fixup"), 0.12),),
            caveat="its constants were derived for an encoder-decoder; the bound is the band that DeepNorm is held to",
        ),
    ]
