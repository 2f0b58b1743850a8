/**
 * What a process of a test tells the test that started it.
 */
import * as Effect from "effect/Effect"
import type { ActorMessage } from "./harness.ts"

export const tell = (message: ActorMessage): Effect.Effect<void> => Effect.sync(() => void process.send?.(message))

/**
 * The channel to the test no longer holds this process, which ends once what it told is written.
 *
 * Not `process.disconnect()`: it throws away what a busy test has not made room for, and with it the last word.
 */
export const fallSilent = (): void => process.channel?.unref()
