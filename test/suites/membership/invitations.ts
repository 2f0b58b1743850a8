/**
 * Invitations: which processes they admit, and how often.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { JoinRefused } from "../../../src/services/Coordinator.ts"
import { InvitationVoid } from "../../../src/services/Spawner.ts"
import {
  at,
  eventually,
  failedWith,
  fork,
  joinAll,
  joined,
  type JoinOptions,
  type SwarmBackend,
  swarmTest,
  type TestSwarm
} from "../../backends/swarm.ts"
import { spawnerOf } from "../../faults/heldProcesses.ts"
import { namesOf } from "./leaving.ts"

const isRefused = (error: unknown): boolean => error instanceof JoinRefused && error.reason === "invitation"

const refused = (backend: SwarmBackend, swarm: TestSwarm, options: JoinOptions) =>
  Effect.gen(function*() {
    const error = yield* failedWith(backend, yield* fork(Effect.scoped(swarm.join("stranger", options))))
    assert.isTrue(isRefused(error), String(error))
  })

export const lifecycleInvitationsSuite = (backend: SwarmBackend): void => {
  describe(`invitations (${backend.name})`, () => {
    swarmTest(
      backend,
      "S22 a process comes in by an invitation, once, and its inviter learns which one it was",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(swarm, 2)
          // Not only the coordinator invites.
          for (const host of members) {
            const { spawner } = yield* spawnerOf(swarm, host)
            const invitation = yield* spawner.invite()
            assert.strictEqual(invitation.environment["RINGFENCE_INVITATION"], invitation.token)
            const guest = yield* joined(backend, yield* fork(swarm.join("guest", { invitation: invitation.token })))
            assert.deepStrictEqual(yield* invitation.joined, guest.coordinator.self)
            yield* refused(backend, swarm, { invitation: invitation.token })
            yield* guest.close
            yield* refused(backend, swarm, { invitation: invitation.token })
          }
        })
    )

    swarmTest(
      backend,
      "S22 wrong, cancelled and expired invitations are refused, even where admission is open",
      (swarm) =>
        Effect.gen(function*() {
          const [host] = yield* joinAll(swarm, 1)
          const { spawner } = yield* spawnerOf(swarm, host!)
          const good = yield* spawner.invite()
          yield* refused(backend, swarm, { invitation: "made up" })
          yield* refused(backend, swarm, {
            invitation: `${good.token.slice(0, -1)}${good.token.endsWith("A") ? "B" : "A"}`
          })
          const cancelled = yield* spawner.invite()
          yield* cancelled.cancel
          yield* refused(backend, swarm, { invitation: cancelled.token })
          const error = yield* Effect.flip(cancelled.joined)
          assert.isTrue(error instanceof InvitationVoid && error.reason === "cancelled")
          const short = yield* spawner.invite({ expires: "50 millis" })
          yield* backend.elapse(60)
          yield* refused(backend, swarm, { invitation: short.token })
          // The open invitation was not affected.
          yield* joined(backend, yield* fork(swarm.join("guest", { invitation: good.token })))
          assert.strictEqual((yield* good.joined).name, "guest")
        })
    )

    swarmTest(
      backend,
      "an unused invitation is void some time after its end",
      (swarm) =>
        Effect.gen(function*() {
          const host = yield* swarm.join("m0", { coordinate: true, joinDeadline: 200 })
          const { spawner } = yield* spawnerOf(swarm, host)
          const { joined: never } = yield* spawner.invite({ expires: "50 millis" })
          const error = yield* failedWith(backend, yield* fork(never))
          assert.isTrue(error instanceof InvitationVoid && error.reason === "expired")
        })
    )

    swarmTest(
      backend,
      "S22 where admission is by invitation, only the invited come in",
      (swarm) =>
        Effect.gen(function*() {
          const host = yield* swarm.join("m0", { coordinate: true, admission: "invitation" })
          yield* refused(backend, swarm, {})
          const { spawner } = yield* spawnerOf(swarm, host)
          const { token } = yield* spawner.invite()
          yield* joined(backend, yield* fork(swarm.join("guest", { invitation: token })))
          yield* refused(backend, swarm, {})
          assert.deepStrictEqual(namesOf(host), ["m0", "guest"])
        })
    )

    swarmTest(
      backend,
      "invitations that are out stay good when another coordinates, and cancelled ones void",
      (swarm) =>
        Effect.gen(function*() {
          const members = yield* joinAll(
            swarm,
            3,
            (i) => ({ standby: i === 1, admission: i === 1 ? "invitation" : "open" })
          )
          const { spawner } = yield* spawnerOf(swarm, at(members, 2))
          const [good, cancelled] = [yield* spawner.invite(), yield* spawner.invite()]
          yield* at(members, 0).kill
          yield* eventually(backend, () => at(members, 1).coordinator.coordinates())
          yield* cancelled.cancel
          yield* joined(backend, yield* fork(swarm.join("guest", { invitation: good.token })))
          yield* refused(backend, swarm, { invitation: good.token })
          yield* refused(backend, swarm, { invitation: cancelled.token })
          yield* refused(backend, swarm, {})
        })
    )

    swarmTest(
      backend,
      "S22 a shutdown does not wait for invited processes, and admits none of them",
      (swarm) =>
        Effect.gen(function*() {
          const host = yield* swarm.join("m0", { coordinate: true, shutdownHook: Effect.sleep(200) })
          const { spawner } = yield* spawnerOf(swarm, host)
          const { token } = yield* spawner.invite()
          const down = yield* fork(host.coordinator.shutdown)
          yield* backend.elapse(10)
          const late = yield* fork(Effect.scoped(swarm.join("late", { invitation: token })))
          const error = yield* failedWith(backend, late)
          assert.isTrue(error instanceof JoinRefused && error.reason === "shuttingDown")
          yield* joined(backend, down)
        })
    )
  })
}
