/**
 * A member's services: the coordinator's view, messages and barriers, over whatever rings there are.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Barrier } from "../../services/Barrier.ts"
import { Coordinator, NameMissing, NameRefused } from "../../services/Coordinator.ts"
import { CxlMemory } from "../../services/CxlMemory.ts"
import { type CoordinatorLost, MemberGone, ShuttingDown } from "../../services/Member.ts"
import { Messenger } from "../../services/Messenger.ts"
import type { Ring } from "../../services/Ring.ts"
import type { Answer, Request } from "./ControlMessages.ts"
import type { SwarmOptions } from "./Options.ts"
import type { Invitations } from "./Presiding.ts"
import { type Core, type JoinError, joinSwarm, SwarmCore } from "./SwarmCore.ts"

export const layer = (
  options: SwarmOptions & { readonly invitations?: Invitations | undefined } = {}
): Layer.Layer<Coordinator | Messenger | Barrier | SwarmCore, JoinError, Ring | CxlMemory> =>
  Layer.mergeAll(layerCoordinator, layerMessenger, layerBarrier).pipe(
    Layer.provideMerge(Layer.effect(SwarmCore, Effect.flatMap(processName, (name) => joinSwarm(options, name))))
  )

// --- internal ---

const processName = Effect.map(CxlMemory, ({ info }) => info.name)

const defaultDeadline = "30 seconds"

/** How long the end of a scope waits for the coordinator to take a name back. */
const giveBackMillis = 500

const layerMessenger = Layer.effect(
  Messenger,
  Effect.map(SwarmCore, ({ messages }) =>
    Messenger.of({
      send: (type, value, to = "remote") => messages.send(type, value, to),
      subscribe: (type, handler, options) => messages.subscribe(type, handler, options),
      receive: (type, options = {}) => messages.receive(type, options, millisOf(options.deadline ?? defaultDeadline)),
      counts: () => messages.counts(),
      reached: (to) => messages.reached(to)
    }))
)

const layerBarrier = Layer.effect(
  Barrier,
  Effect.map(SwarmCore, (core) =>
    Barrier.of({
      enter: (name, options) => core.over ? Effect.fail(new ShuttingDown()) : core.arrivals.enter(name, options)
    }))
)

const layerCoordinator = Layer.effect(
  Coordinator,
  Effect.map(SwarmCore, (core) => {
    const { link, self } = core
    const { roster } = link
    return Coordinator.of({
      self,
      coordinates: () => core.presiding !== undefined,
      members: () => roster.members,
      group: (group) => roster.group(group),
      epoch: () => roster.epoch,
      changes: Stream.fromPubSub(link.changes),
      suspects: () => (core.presiding?.suspects ?? []).flatMap((id) => roster.find(id) ?? []),
      awaitMembers: (until) => link.until(() => until(roster.members) ? roster.members : undefined),
      publish: (name) => held(core, name, { _tag: "Publish", name }, { _tag: "Unpublish", name }),
      resolve: (name) => roster.resolve(name),
      waitFor: (name, options) =>
        Effect.timeoutOrElse(link.until(() => roster.resolve(name)), {
          duration: options?.deadline ?? defaultDeadline,
          orElse: () => Effect.fail(new NameMissing({ name }))
        }),
      joinGroup: (group) => held(core, group, { _tag: "JoinGroup", group }, { _tag: "LeaveGroup", group }),
      leave: core.leave,
      shutdown: core.shutdown,
      lost: link.lost,
      find: (member) => {
        const found = roster.find(member)
        return found === undefined ? Effect.fail(new MemberGone({ member })) : Effect.succeed(found)
      }
    })
  })
)

const millisOf = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

/** Has the coordinator's word for something until the scope closes. */
const held = (
  core: Core,
  name: string,
  take: Request,
  giveBack: Request
): Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown, Scope.Scope> => {
  const taken = Effect.suspend((): Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown> => {
    if (core.over) return Effect.fail(new ShuttingDown())
    return Effect.flatMap(
      core.link.request(take),
      (answer) =>
        answer._tag === "Refused" ? Effect.fail(new NameRefused({ name, reason: reasonOf(answer) })) : Effect.void
    )
  })
  // Who comes after the scope has closed finds it free.
  const givenBack = Effect.ignore(Effect.timeout(core.link.request(giveBack), giveBackMillis))
  return Effect.acquireRelease(taken, () => core.over ? Effect.void : givenBack)
}

const reasonOf = (answer: Extract<Answer, { readonly _tag: "Refused" }>): NameRefused["reason"] =>
  answer.reason === "empty" || answer.reason === "reserved" ? answer.reason : "taken"
