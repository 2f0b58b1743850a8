/**
 * Starts processes on this operating system. A child's lifeline is a pipe whose writing end this process holds. It
 * writes only two things: the proof that the pipe is the lifeline, and the release of the child.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ChildProcess as NodeChild, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import type { Writable } from "node:stream"
import { fileURLToPath } from "node:url"
import { SpawnFailed } from "../../services/Spawner.ts"
import { variables } from "../swarm/children/ChildEnvironment.ts"
import { type ChildCommand, type ChildEnd, type ChildProcess, ProcessRunner } from "../swarm/children/ProcessRunner.ts"

export const layer: Layer.Layer<ProcessRunner> = Layer.succeed(
  ProcessRunner,
  ProcessRunner.of({
    environment: () =>
      Object.fromEntries(
        Object.entries(process.env).flatMap(([key, value]) => value === undefined ? [] : [[key, value]])
      ),
    node: (entry) => ({
      command: process.execPath,
      args: [...process.execArgv, entry instanceof URL ? fileURLToPath(entry) : entry]
    }),
    start: (command) => start(command)
  })
)

// --- internal ---

/** The first descriptor after standard input, output and error. */
const lifelineDescriptor = 3

/** Releases the child, which then outlives this process. */
const releaseWord = "R"

const start = (command: ChildCommand): Effect.Effect<ChildProcess, SpawnFailed> => {
  const failed = (error: unknown) =>
    new SpawnFailed({ command: command.command, detail: error instanceof Error ? error.message : String(error) })
  const proof = randomBytes(16).toString("hex")
  return Effect.flatMap(
    Effect.try({ try: () => begin(command, proof), catch: failed }),
    (child) =>
      Effect.callback((resume) => {
        const line = lineOf(child)
        const ended = Deferred.makeUnsafe<ChildEnd>()
        child.once("exit", (code, signal) => {
          line?.destroy()
          Deferred.doneUnsafe(ended, Effect.succeed({ code, signal }))
        })
        child.on("error", (error) => {
          line?.destroy()
          resume(Effect.fail(failed(error)))
        })
        child.once("spawn", () => resume(Effect.succeed(handleOf(child, Deferred.await(ended)))))
      })
  )
}

const begin = ({ args, command, env, lifeline, output }: ChildCommand, proof: string): NodeChild => {
  const told = lifeline ? { [variables.lifeline]: `${lifelineDescriptor}:${proof}` } : {}
  const child = spawn(command, args, {
    env: { ...env, ...told },
    stdio: ["ignore", output, output, ...lifeline ? ["pipe" as const] : []]
  })
  const line = lineOf(child)
  // Ignore failed writes to a child that has ended: its exit is reported elsewhere.
  line?.on("error", () => undefined)
  line?.write(proof)
  return child
}

const lineOf = (child: NodeChild): Writable | undefined =>
  (child.stdio[lifelineDescriptor] as Writable | null | undefined) ?? undefined

const handleOf = (child: NodeChild, ended: Effect.Effect<ChildEnd>): ChildProcess => ({
  pid: child.pid ?? 0,
  ended,
  // `kill` of Node.js sends nothing to a child that has ended, whose pid another process may have by now.
  signal: (signal) => Effect.sync(() => void child.kill(signal)),
  release: Effect.sync(() => {
    lineOf(child)?.end(releaseWord)
    child.unref()
  })
})
