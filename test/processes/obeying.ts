/**
 * The child's end of the channel over which a parent orders a process what to do.
 */
import * as Effect from "effect/Effect"
import type { Told } from "./orders.ts"

export const tell = (told: Told): void => void process.send?.(told)

export const failureOf = (error: unknown): Told["error"] => ({
  tag: (error as { readonly _tag?: string })._tag ?? "defect",
  reason: (error as { readonly reason?: string }).reason ?? (error as { readonly fault?: string }).fault ?? "",
  message: String(error)
})

/** Carries out orders, and reports their results. */
export const answering = <R>(
  number: number,
  obeyed: Effect.Effect<unknown, unknown, R>
): Effect.Effect<void, never, R> =>
  Effect.matchCause(obeyed, {
    onFailure: (cause) => {
      const error = cause.reasons.find((reason) => "error" in reason)
      tell({ number, error: failureOf(error !== undefined && "error" in error ? error.error : cause) })
    },
    onSuccess: (value) => tell({ number, value })
  })
