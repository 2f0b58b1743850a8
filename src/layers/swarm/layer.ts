/**
 * The services of a member: `Coordinator`, `Messenger` and `Barrier`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Barrier } from "../../services/Barrier.ts"
import { Coordinator, NameMissing } from "../../services/Coordinator.ts"
import type { CxlMemory } from "../../services/CxlMemory.ts"
import { waitMillis } from "../../services/input/DurationInput.ts"
import { Messenger } from "../../services/Messenger.ts"
import { ShuttingDown } from "../../services/schema/Member.ts"
import type { RingPorts } from "../ports/RingPorts.ts"
import { CurrentSwarmMember, type JoinError, joinSwarm } from "./SwarmMember.ts"
import type { SwarmOptions } from "./SwarmOptions.ts"

export const layer = (
  options: SwarmOptions = {}
): Layer.Layer<Coordinator | Messenger | Barrier | CurrentSwarmMember, JoinError, RingPorts | CxlMemory> =>
  // A layer graph builds a layer once. These read one member: shared, a second member would speak as the first.
  Layer.fresh(Layer.mergeAll(layerCoordinator, layerMessenger, layerBarrier)).pipe(
    Layer.provideMerge(Layer.effect(CurrentSwarmMember, joinSwarm(options)))
  )

// --- internal ---

const defaultDeadline = "30 seconds"

const layerMessenger = Layer.effect(
  Messenger,
  Effect.map(CurrentSwarmMember, ({ messages }) =>
    Messenger.of({
      send: (type, value, to = "remote") => messages.send(type, value, to),
      subscribe: (type, handler, options) => messages.subscribe(type, handler, options),
      receive: (type, options = {}) =>
        Effect.flatMap(
          waitMillis("deadline", options.deadline ?? defaultDeadline),
          (deadlineMillis) => messages.receive(type, options, deadlineMillis)
        ),
      counts: () => messages.counts(),
      reached: (to) => messages.reached(to)
    }))
)

const layerBarrier = Layer.effect(
  Barrier,
  Effect.map(CurrentSwarmMember, (core) =>
    Barrier.of({
      enter: (name, options) => core.over ? Effect.fail(new ShuttingDown()) : core.arrivals.enter(name, options)
    }))
)

const layerCoordinator = Layer.effect(
  Coordinator,
  Effect.map(CurrentSwarmMember, (core) => {
    const { link, self } = core
    const { membership } = link
    return Coordinator.of({
      self,
      coordinates: () => core.coordinating !== undefined,
      // Apply pending notices first, so that a member another process has seen join is visible here too.
      members: () => link.catchUp().members,
      group: (group) => link.catchUp().group(group),
      epoch: () => link.catchUp().epoch,
      changes: link.changes,
      suspects: () => membership.suspects,
      awaitMembers: (until) => link.until(() => until(membership.members) ? membership.members : undefined),
      publish: (name) => core.registrations.publish(name),
      resolve: (name) => link.catchUp().resolve(name),
      waitFor: (name, options) =>
        Effect.flatMap(
          waitMillis("deadline", options?.deadline ?? defaultDeadline),
          (deadlineMillis) =>
            Effect.timeoutOrElse(link.until(() => membership.resolve(name)), {
              duration: deadlineMillis,
              orElse: () => Effect.fail(new NameMissing({ name }))
            })
        ),
      joinGroup: (group) => core.registrations.joinGroup(group),
      leave: core.leave,
      shutdown: core.shutdown,
      lost: link.lost,
      find: (member) => {
        const found = link.catchUp().find(member)
        return found === undefined ? Effect.fail(membership.lossOf(member)) : Effect.succeed(found)
      }
    })
  })
)
