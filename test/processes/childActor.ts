/**
 * A child that was spawned: joins as its environment says, publishes the name of its job, and does it.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Barrier } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"

const job = process.env["JOB"] ?? "wait"

const forever = (): never => {
  for (;;) if (performance.now() < 0) return process.exit()
}

/** How its first life crashes; later lives end well. */
const crashes: Readonly<Record<string, () => void>> = {
  crash: () => process.exit(7),
  abort: () => process.abort(),
  kill: () => void process.kill(process.pid, "SIGKILL")
}

const work = Effect.gen(function*() {
  const { awaitMembers, publish, self } = yield* Coordinator
  const crash = crashes[job]
  // Several children do this job at once, and a name belongs to one member.
  yield* publish(crash === undefined && job !== "barrier" ? job : `${self.name} ${self.incarnation}`)
  if (crash !== undefined && self.incarnation === 0) return yield* Effect.sync(crash)
  if (crash !== undefined) yield* Barrier.use((barrier) => barrier.enter("meet", { mode: "processingFence" }))
  if (job === "barrier") {
    yield* awaitMembers(({ length }) => length === 4)
    yield* Barrier.use((barrier) => barrier.enter("meet"))
  }
  if (job === "wedge") return yield* Effect.sync(forever)
  if (job === "hang") yield* Effect.sync(() => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
  return yield* Effect.never
})

work.pipe(Effect.scoped, Effect.provide(Swarm.layerChild()), NodeRuntime.runMain({ disableErrorReporting: true }))
