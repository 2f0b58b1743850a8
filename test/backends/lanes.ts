/**
 * The lanes of one session, for tests that use them without a publisher.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { keptWhenOpened } from "../../src/layers/log/keptWhenOpened.ts"
import type { Admission } from "../../src/layers/log/sessionAdmission.ts"
import { admitLanes } from "../../src/layers/memory/log/Publisher.ts"

/** Opens the session, or leaves nothing behind. */
export const lanesOf = (admitting: Effect.Effect<Admission, never, Scope.Scope>) =>
  keptWhenOpened(Effect.flatMap(admitting, ({ lanes }) => lanes))

/** The lanes of a session in this heap. */
export const openLanes = (...opening: Parameters<typeof admitLanes>) => lanesOf(admitLanes(...opening))
