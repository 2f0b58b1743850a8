/**
 * ProcessRunner for a spawner under test, in either backend: each process is an attachment of its own, which joins as
 * its environment says and can be killed.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { readEnvironment } from "../../src/layers/swarm/children/ChildEnvironment.ts"
import { type ChildCommand, type ChildEnd, ProcessRunner } from "../../src/layers/swarm/children/ProcessRunner.ts"
import { layer as layerSpawning } from "../../src/layers/swarm/children/Spawner.ts"
import { CurrentSwarmMember } from "../../src/layers/swarm/SwarmMember.ts"
import { CxlMemory } from "../../src/services/CxlMemory.ts"
import { Spawner, SpawnFailed } from "../../src/services/Spawner.ts"
import { joinAs, type TestMember, type TestSwarm } from "../backends/swarm.ts"

/** A process that was started. */
export interface HeldProcess {
  readonly command: ChildCommand
  readonly pid: number
  readonly signals: Array<string>
  /** Set once it has joined. */
  member: TestMember | undefined
  released: boolean
  readonly kill: Effect.Effect<void>
  /** Ends it in an orderly way, with that exit code. */
  readonly exit: (code: number) => Effect.Effect<void>
}

export interface HeldOptions {
  /** Programs that cannot be started, by name. */
  readonly missing?: ReadonlySet<string>
  /** Runs as the process's program once it has joined. */
  readonly program?: (member: TestMember, command: ChildCommand) => Effect.Effect<void, unknown, Scope.Scope>
  /** Does not end when it is asked to. */
  readonly stubborn?: boolean
  /** Does not join. */
  readonly silent?: boolean
}

export const heldProcesses = Effect.fnUntraced(function*(swarm: TestSwarm, options: HeldOptions = {}) {
  const started: Array<HeldProcess> = []
  const scope = yield* Effect.scope
  const start = (command: ChildCommand) =>
    Effect.gen(function*() {
      if (options.missing?.has(command.command) === true) {
        return yield* new SpawnFailed({ command: command.command, detail: "no such file" })
      }
      const own = yield* Scope.fork(scope)
      const process = yield* Effect.orDie(Scope.provide(swarm.attach(command.env["RINGFENCE_NAME"] ?? ""), own))
      const ended = yield* Deferred.make<ChildEnd>()
      const end = (how: ChildEnd) => Deferred.succeed(ended, how)
      const held: HeldProcess = {
        command,
        pid: 1000 + started.length,
        signals: [],
        member: undefined,
        released: false,
        kill: Effect.andThen(process.kill, end({ code: null, signal: "SIGKILL" })),
        exit: (code) => Effect.andThen(Scope.close(own, Exit.void), end({ code, signal: null }))
      }
      started.push(held)
      yield* Effect.forkIn(Effect.ignore(Effect.scoped(life(held, process, options))), own)
      return {
        pid: held.pid,
        ended: Deferred.await(ended),
        signal: (signal: "SIGTERM" | "SIGKILL") =>
          Effect.suspend(() => {
            held.signals.push(signal)
            if (signal === "SIGKILL") return Effect.asVoid(held.kill)
            // Fork it in no scope: it also runs while the test's scope closes, and a closing scope forks nothing.
            return options.stubborn === true ? Effect.void : Effect.asVoid(Effect.forkDetach(held.exit(143)))
          }),
        release: Effect.sync(() => {
          held.released = true
        })
      }
    })
  const service = ProcessRunner.of({
    environment: () => ({ PATH: "/bin", RINGFENCE_INVITATION: "of the spawning process" }),
    node: (entry) => ({ command: "node", args: [String(entry)] }),
    start
  })
  return { started, service }
})

/** A spawner for that member. */
export const spawnerOf = Effect.fnUntraced(function*(swarm: TestSwarm, member: TestMember, options: HeldOptions = {}) {
  const { service, started } = yield* heldProcesses(swarm, options)
  const { memory } = yield* swarm.attach("memory")
  const context = yield* Layer.build(layerSpawning).pipe(
    Effect.provideService(ProcessRunner, service),
    Effect.provideService(CurrentSwarmMember, member.swarmMember),
    Effect.provideService(CxlMemory, memory)
  )
  return { spawner: Context.get(context, Spawner), started }
})

// --- internal ---

const life = (held: HeldProcess, process: Parameters<typeof joinAs>[0], { program, silent }: HeldOptions) =>
  Effect.gen(function*() {
    if (silent === true) return yield* Effect.never
    const { invitation, name = "", incarnation, standby } = readEnvironment(held.command.env)
    const member = yield* joinAs(process, name, { invitation, incarnation, standby })
    held.member = member
    if (program !== undefined) yield* program(member, held.command)
    return yield* Effect.never
  })
