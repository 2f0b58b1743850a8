/**
 * A session is admitted within a time, or its opening fails: only a log that runs admits.
 */
import * as Effect from "effect/Effect"
import { RegionError } from "../services/CxlMemory.ts"

const admissionMillis = 10_000

/** `hint` says why it may not run. */
export const admittedInTime = (region: string, hint: string) => <A, E, R>(admission: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(admission, {
    duration: admissionMillis,
    orElse: () => {
      const detail = `the session was not admitted within ${admissionMillis} ms`
      return Effect.fail(new RegionError({ fault: "notServing", region, detail, hint }))
    }
  })
