/**
 * A process that is a member of a swarm and carries out its parent's orders.
 *
 * Usage: node memberActor.ts <role> <options as JSON>
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { readdirSync } from "node:fs"
import * as Swarm from "../../src/layers/Swarm.ts"
import { Barrier } from "../../src/services/Barrier.ts"
import { Coordinator } from "../../src/services/Coordinator.ts"
import { Messenger } from "../../src/services/Messenger.ts"
import { type ChildHandle, Spawner } from "../../src/services/Spawner.ts"
import { playCollector, playWorker } from "../suites/barrier/fenceRun.ts"
import { walkRounds } from "../suites/barrier/rapidReuse.ts"
import { type Heard, sendBlocks, takeBlocks } from "./blocks.ts"
import type { MemberRole, MemberState, Order } from "./members.ts"
import { answering, failureOf, tell } from "./obeying.ts"
import { fallSilent } from "./telling.ts"

const [role = "member", json = "{}"] = process.argv.slice(2)
const options = JSON.parse(json) as Swarm.CoordinatorOptions

const children: Array<ChildHandle> = []
let heard: () => Heard = () => ({ blocks: 0, wrong: 0 })

const state = Effect.map(Coordinator, ({ coordinates, epoch, members, self, suspects }): MemberState => ({
  self,
  coordinates: coordinates(),
  epoch: epoch(),
  members: members().map(({ name }) => name),
  suspects: suspects().map(({ name }) => name),
  children: children.map((child) => child.status()),
  environment: Object.keys(process.env).filter((name) => name.startsWith("RINGFENCE_")),
  descriptors: readdirSync("/proc/self/fd").length
}))

const wedge = (): never => {
  for (;;) if (performance.now() < 0) break
  return process.exit()
}

const spawn = ({ count, kind }: Extract<Order, { readonly _tag: "spawn" }>) =>
  Effect.gen(function*() {
    const spawner = yield* Spawner
    const begun = yield* spawner.spawnAll(count, kind)
    children.push(...begun)
    return begun.map((child) => child.status())
  })

const fence = ({ plan, worker }: Extract<Order, { readonly _tag: "fence" }>) =>
  Effect.gen(function*() {
    const member = { barrier: yield* Barrier, messenger: yield* Messenger }
    return yield* worker === undefined ? playCollector(member, plan) : playWorker(member, plan, worker)
  })

type Member = Coordinator | Barrier | Messenger | Spawner

const obey = (order: Order): Effect.Effect<unknown, unknown, Member | Scope.Scope> => {
  switch (order._tag) {
    case "enter":
      return Effect.map(
        Barrier.use((barrier) => barrier.enter(order.name, { mode: order.mode, deadline: order.deadlineMillis })),
        ({ _tag }) => _tag
      )
    case "state":
      return state
    case "publish":
      return Coordinator.use(({ publish }) => publish(order.name))
    case "joinGroup":
      return Coordinator.use(({ joinGroup }) => joinGroup(order.group))
    case "fence":
      return fence(order)
    case "walkRounds":
      return Barrier.use((barrier) => walkRounds(barrier, order.plan, Effect.sleep(1)))
    case "takeBlocks":
      return Effect.map(takeBlocks(order.restMillis), (taken) => void (heard = taken))
    case "heard":
      return Effect.sync(() => heard())
    case "sendBlocks":
      return sendBlocks(order.blocks, order.bytes)
    case "chatter":
      return Coordinator.use(({ publish }) =>
        Effect.forEach(
          Array.from({ length: order.times }, (_, i) => `a name that fills the ring, number ${i}`),
          (name) => Effect.scoped(publish(name)),
          { discard: true }
        )
      )
    case "waitFor":
      return Effect.map(Coordinator.use(({ waitFor }) => waitFor(order.name)), ({ name }) => name)
    case "leave":
      return Coordinator.use(({ leave }) => leave)
    case "shutdown":
      return Coordinator.use(({ shutdown }) => shutdown)
    case "lost":
      return Coordinator.use(({ lost }) => lost)
    case "invite":
      return Effect.map(
        Spawner.use(({ invite }) => invite({ expires: order.expiresMillis })),
        ({ environment }) => environment
      )
    case "spawn":
      return spawn(order)
    case "release":
      return Effect.suspend(() => children[order.index]?.release ?? Effect.void)
    case "ready":
      return Effect.forEach(children, (child) => child.ready(), { concurrency: "unbounded" })
    case "abort":
      return Effect.sync(() => process.abort())
    case "exit":
      return Effect.sync(() => process.exit(order.code))
    case "die":
      // End at once, without exit handlers.
      return Effect.sync(() => (process as unknown as { reallyExit: (code: number) => void }).reallyExit(order.code))
    case "wedge":
      return Effect.sync(wedge)
    case "hang":
      return Effect.sync(() => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
    case "end":
      return Effect.void
  }
}

/** Carries out each order in a fiber of its own, until it is told to end. */
const obeying = Effect.gen(function*() {
  const context = yield* Effect.context<Member | Scope.Scope>()
  const ended = Effect.callback<void>((resume) => {
    process.on("message", ({ number, order }: { readonly number: number; readonly order: Order }) => {
      Effect.runForkWith(context)(answering(number, obey(order)))
      if (order._tag === "end") resume(Effect.void)
    })
  })
  const { self } = yield* Coordinator
  tell({ number: 0, value: self })
  yield* ended
})

const layers: Readonly<Record<MemberRole, () => Layer.Layer<any, any>>> = {
  coordinator: () => Swarm.layerCoordinator(options),
  member: () => Swarm.layerMember(options),
  child: () => Swarm.layerChild(options)
}

const layer = Swarm.layerSpawner.pipe(Layer.provideMerge(layers[role as MemberRole]()))

await Effect.runPromise(
  obeying.pipe(
    Effect.scoped,
    Effect.provide(layer as Layer.Layer<Member>),
    Effect.catch((error) => Effect.sync(() => tell({ number: 0, error: failureOf(error) })))
  )
)
fallSilent()
