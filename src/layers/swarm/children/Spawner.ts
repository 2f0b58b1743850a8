/**
 * The service `Spawner`: each child has an invitation of its own and a supervisor.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { CxlMemory } from "../../../services/CxlMemory.ts"
import { countWithin } from "../../../services/input/ArgumentInvalid.ts"
import { type DurationInvalid, waitMillis } from "../../../services/input/DurationInput.ts"
import type { CoordinatorLost } from "../../../services/schema/Member.ts"
import { type ChildHandle, type ChildSpec, Spawner, type SpawnFailed } from "../../../services/Spawner.ts"
import { CurrentSwarmMember } from "../SwarmMember.ts"
import { placeOf, variables } from "./ChildEnvironment.ts"
import { ChildSupervisor } from "./ChildSupervisor.ts"
import { ProcessRunner } from "./ProcessRunner.ts"

export const layer: Layer.Layer<Spawner, never, CurrentSwarmMember | CxlMemory | ProcessRunner> = Layer.effect(
  Spawner,
  Effect.gen(function*() {
    const swarmMember = yield* CurrentSwarmMember
    const processes = yield* ProcessRunner
    const place = placeOf((yield* CxlMemory).info)
    const watch = yield* FiberSet.makeRuntime<never, void>()

    const spawnAs = (kind: ChildSpec, name: string): Effect.Effect<ChildHandle, SpawnError, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.suspend(() => {
          const child = new ChildSupervisor(swarmMember, processes, place, kind, name)
          return Effect.map(child.begin, () => {
            watch(child.watch)
            return child
          })
        }),
        (child) => child.close
      )

    // The children end side by side, each within its own grace.
    const spawnAll = (count: number, kind: ChildSpec) =>
      Effect.gen(function*() {
        yield* countWithin("spawnAll", "count", count)
        const together = yield* Scope.fork(yield* Effect.scope, "parallel")
        const spawnOne = (i: number) =>
          Effect.flatMap(Scope.fork(together), (own) => Scope.provide(spawnAs(kind, `${kind.name}-${i + 1}`), own))
        return yield* Effect.forEach(Array.from({ length: count }, (_, i) => i), spawnOne).pipe(
          Effect.onError(() => Scope.close(together, Exit.void))
        )
      })

    return Spawner.of({
      spawn: (kind) => spawnAs(kind, kind.name),
      spawnAll,
      invite: (options) =>
        Effect.map(
          Effect.flatMap(
            waitMillis("expires", options?.expires ?? defaultExpiry),
            (expiryMillis) => swarmMember.inviting.invite(expiryMillis)
          ),
          ({ cancel, joined, token }) => ({
            token,
            environment: { ...place, [variables.invitation]: token },
            joined,
            cancel
          })
        )
    })
  })
)

// --- internal ---

type SpawnError = SpawnFailed | CoordinatorLost | DurationInvalid

const defaultExpiry = "30 seconds"
