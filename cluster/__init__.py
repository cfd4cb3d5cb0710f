"""What happens on several machines: `make cluster-test`. A machine is a network namespace, a cluster two of them."""
