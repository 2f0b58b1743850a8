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
  // Fresh: a layer graph builds a layer once, and a shared one would let a second member act as the first.
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
  Effect.map(CurrentSwarmMember, (swarmMember) =>
    Barrier.of({
      enter: (name, options) =>
        swarmMember.over ? Effect.fail(new ShuttingDown()) : swarmMember.arrivals.enter(name, options)
    }))
)

const layerCoordinator = Layer.effect(
  Coordinator,
  Effect.map(CurrentSwarmMember, (swarmMember) => {
    const { coordinator, self } = swarmMember
    const { membership } = coordinator
    return Coordinator.of({
      self,
      coordinates: () => swarmMember.coordinating !== undefined,
      // Apply pending notices first, so that a member that another process has seen join is visible here too.
      members: () => coordinator.catchUp().members,
      group: (group) => coordinator.catchUp().group(group),
      epoch: () => coordinator.catchUp().epoch,
      changes: coordinator.changes,
      suspects: () => membership.suspects,
      awaitMembers: (until) => coordinator.until(() => until(membership.members) ? membership.members : undefined),
      publish: (name) => swarmMember.registrations.publish(name),
      resolve: (name) => coordinator.catchUp().resolve(name),
      waitFor: (name, options) =>
        Effect.flatMap(
          waitMillis("deadline", options?.deadline ?? defaultDeadline),
          (deadlineMillis) =>
            Effect.timeoutOrElse(coordinator.until(() => membership.resolve(name)), {
              duration: deadlineMillis,
              orElse: () => Effect.fail(new NameMissing({ requested: name, deadlineMillis }))
            })
        ),
      joinGroup: (group) => swarmMember.registrations.joinGroup(group),
      leave: swarmMember.leave,
      shutdown: swarmMember.shutdown,
      lost: coordinator.lost,
      find: (member) => {
        const found = coordinator.catchUp().find(member)
        return found === undefined ? Effect.fail(membership.lossOf(member)) : Effect.succeed(found)
      }
    })
  })
)
