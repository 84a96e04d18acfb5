# What `wrangler` would deploy. The modules are named by their paths, so that they find each other.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "functions", worker = .functions),
    # The coordinator of a test is on this machine.
    (name = "network", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", http = (), service = "functions")],
);

const functions :Workerd.Worker = (
  modules = [
    (name = "tests/runtimes/apps/workerd.mjs", esModule = embed "workerd.mjs"),
    (name = "tests/runtimes/apps/workers.mjs", esModule = embed "workers.mjs"),
    (name = "coordinator/sdk/coordinator.mjs", esModule = embed "../../../coordinator/sdk/coordinator.mjs"),
  ],
  bindings = [
    (name = "COORDINATOR_SECRET", fromEnvironment = "COORDINATOR_SECRET"),
    (name = "COORDINATOR_URL", fromEnvironment = "COORDINATOR_URL"),
  ],
  globalOutbound = "network",
  compatibilityDate = "2024-01-01",
);
