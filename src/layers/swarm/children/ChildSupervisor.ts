/**
 * Supervises one child over all of its lives: starts it, follows it, restarts it after an end, and ends it.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { type DurationInvalid, millisOf, waitMillis } from "../../../services/input/DurationInput.ts"
import { type CoordinatorLost, isSame, type MemberInfo } from "../../../services/schema/Member.ts"
import {
  type ChildExit,
  type ChildHandle,
  ChildNotReady,
  type ChildSpec,
  type ChildStatus,
  type SpawnFailed
} from "../../../services/Spawner.ts"
import type { Invited } from "../control/InvitationClient.ts"
import type { SwarmMember } from "../SwarmMember.ts"
import { environmentOf, ofOneProcess } from "./ChildEnvironment.ts"
import type { ChildCommand, ChildEnd, ChildProcess, ProcessRunner } from "./ProcessRunner.ts"

interface Life {
  readonly incarnation: number
  readonly process: ChildProcess
  readonly invited: Invited
}

/** How many past exits a late subscriber still gets. */
const exitsKept = 100

export class ChildSupervisor implements ChildHandle {
  readonly name: string
  readonly #swarmMember: SwarmMember
  readonly #processes: ProcessRunner["Service"]
  readonly #place: Readonly<Record<string, string>>
  readonly #kind: ChildSpec
  readonly #ended = Deferred.makeUnsafe<ChildExit>()
  readonly #exits = Effect.runSync(PubSub.unbounded<ChildExit | "end">({ replay: exitsKept }))
  readonly #statuses = Effect.runSync(PubSub.unbounded<ChildStatus | "end">({ replay: 1 }))
  readonly #listeners = new Set<() => void>()
  /** Opened once no other life can follow. */
  readonly #final = Latch.makeUnsafe(false)
  #status: ChildStatus = { _tag: "Starting", incarnation: 0, pid: 0 }
  #life: Life | undefined
  #isReleased = false

  constructor(
    swarmMember: SwarmMember,
    processes: ProcessRunner["Service"],
    place: Readonly<Record<string, string>>,
    kind: ChildSpec,
    name: string
  ) {
    this.#swarmMember = swarmMember
    this.#processes = processes
    this.#place = place
    this.#kind = kind
    this.name = name
  }

  readonly status = (): ChildStatus => this.#status

  get statuses(): Stream.Stream<ChildStatus> {
    return Stream.fromPubSub(this.#statuses).pipe(Stream.takeWhile((status) => status !== "end"))
  }

  get exits(): Stream.Stream<ChildExit> {
    return Stream.fromPubSub(this.#exits).pipe(Stream.takeWhile((exit) => exit !== "end"))
  }

  get ended(): Effect.Effect<ChildExit> {
    return Deferred.await(this.#ended)
  }

  readonly ready: ChildHandle["ready"] = ({ deadline = "30 seconds", name } = {}) => {
    const notReady = (reason: ChildNotReady["reason"]) => Effect.fail(new ChildNotReady({ child: this.name, reason }))
    const check = (): Effect.Effect<MemberInfo, ChildNotReady> | undefined => {
      const status = this.#status
      if (status._tag === "Ended") return notReady("ended")
      if (status._tag === "Released") return notReady("released")
      if (status._tag !== "Joined") return undefined
      if (name === undefined) return Effect.succeed(status.member)
      const owner = this.#swarmMember.coordinator.membership.resolve(name)
      return owner !== undefined && isSame(owner.id, status.member.id) ? Effect.succeed(owner) : undefined
    }
    return Effect.flatMap(
      waitMillis("deadline", deadline),
      (deadlineMillis) =>
        Effect.timeoutOrElse(Effect.raceFirst(this.#until(check), this.#swarmMember.coordinator.lost), {
          duration: deadlineMillis,
          orElse: () => Effect.fail(new ChildNotReady({ child: this.name, reason: "deadline", deadlineMillis }))
        })
    )
  }

  readonly terminate: Effect.Effect<ChildExit> = Effect.suspend(() => {
    this.#final.openUnsafe()
    const process = this.#life?.process
    if (process === undefined || this.#status._tag === "Ended") return this.ended
    return Effect.andThen(
      process.signal("SIGTERM"),
      Effect.timeoutOrElse(this.ended, {
        duration: this.#kind.grace ?? "5 seconds",
        orElse: () => Effect.andThen(this.#kill, this.ended)
      })
    )
  })

  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const life = this.#life
    if (life === undefined || this.#status._tag === "Ended" || this.#isReleased) return Effect.void
    this.#isReleased = true
    this.#final.openUnsafe()
    this.#set({ _tag: "Released", pid: life.process.pid })
    return life.process.release
  })

  /** Ends the child with its owner's scope, unless it was released. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    this.#isReleased ? Effect.void : Effect.asVoid(this.terminate)
  )

  /** Starts its first life, unless one of its durations is impossible. */
  get begin(): Effect.Effect<void, SpawnFailed | CoordinatorLost | DurationInvalid> {
    const { grace = 0, invitation = 0, recovery } = this.#kind
    const delay = typeof recovery?.delay === "function" ? 0 : recovery?.delay ?? 0
    const times = Object.entries({ invitation, grace, "recovery.delay": delay })
    return Effect.andThen(Effect.forEach(times, ([option, time]) => waitMillis(option, time)), this.#start(0))
  }

  /** Follows the child to the end of its last life. */
  readonly watch: Effect.Effect<void> = Effect.suspend(() => {
    const life = this.#life
    if (life === undefined) return Effect.void
    const joining = Effect.andThen(this.#noteJoined(life), Effect.never)
    return Effect.flatMap(Effect.raceFirst(life.process.ended, joining), (end) => this.#lifeEnded(life, end))
  })

  // --- internal ---

  #start(incarnation: number): Effect.Effect<void, SpawnFailed | CoordinatorLost> {
    return Effect.flatMap(
      this.#swarmMember.inviting.invite(Duration.toMillis(this.#kind.invitation ?? "30 seconds")),
      (invited) =>
        this.#processes.start(this.#command(incarnation, invited.token)).pipe(
          Effect.map((process) => {
            this.#life = { incarnation, process, invited }
            if (!this.#isReleased) this.#set({ _tag: "Starting", incarnation, pid: process.pid })
          }),
          Effect.onError(() => invited.cancel)
        )
    )
  }

  #command(incarnation: number, invitation: string): ChildCommand {
    const { args = [], entry, env = {}, lifeline = true, output = "inherit", standby = false } = this.#kind
    const program = entry === undefined
      ? { command: this.#kind.command, args: [] }
      : this.#processes.node(entry)
    const inherited = Object.entries(this.#processes.environment()).filter(([key]) => !ofOneProcess.includes(key))
    const wanted = Object.entries({ ...Object.fromEntries(inherited), ...env, ...this.#place })
    const own = environmentOf({ name: this.name, invitation, incarnation, standby })
    return {
      command: program.command,
      args: [...program.args, ...args],
      env: {
        ...Object.fromEntries(wanted.flatMap(([key, value]) => value === undefined ? [] : [[key, value]])),
        ...own
      },
      output,
      lifeline
    }
  }

  #noteJoined({ invited, incarnation, process }: Life): Effect.Effect<void> {
    return Effect.ignore(Effect.map(invited.joined, (member) => {
      if (!this.#isReleased) this.#set({ _tag: "Joined", incarnation, pid: process.pid, member })
    }))
  }

  // Tell the coordinator of the end before it admits the next life, so that the names of this life are free by then.
  #lifeEnded({ invited, incarnation, process }: Life, { code, signal }: ChildEnd): Effect.Effect<void> {
    const exit: ChildExit = { incarnation, pid: process.pid, code, signal }
    const voided = this.#swarmMember.beside(invited.cancel)
    return Effect.andThen(this.#swarmMember.noteExit, Effect.andThen(voided, this.#followed(exit)))
  }

  #followed(exit: ChildExit): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      PubSub.publishUnsafe(this.#exits, exit)
      const delay = this.#final.isOpen() ? undefined : yield* this.#recoveryOf(exit)
      if (delay === undefined) return this.#end(exit)
      this.#set({ _tag: "Recovering", exit })
      yield* Effect.timeoutOption(this.#final.await, delay)
      if (this.#final.isOpen()) return this.#end(exit)
      const incarnation = exit.incarnation + 1
      return yield* Effect.matchEffect(this.#start(incarnation), {
        onFailure: () => this.#followed({ incarnation, pid: 0, code: null, signal: null }),
        // The child may have been told to end while it was being started.
        onSuccess: () => Effect.andThen(this.#final.isOpen() ? this.#kill : Effect.void, this.watch)
      })
    })
  }

  /** The pause before the next life, if one follows. */
  #recoveryOf(exit: ChildExit): Effect.Effect<number | undefined> {
    const { recovery } = this.#kind
    if (recovery === undefined) return Effect.succeed(undefined)
    const { delay = "100 millis", policy = fiveTimes } = recovery
    return Effect.sync(() => {
      if (!policy(exit)) return undefined
      return millisOf("recovery.delay", typeof delay === "function" ? delay(exit) : delay)
    }).pipe(
      Effect.catchCause((cause) =>
        Effect.as(
          Effect.logWarning(`the recovery policy of "${this.name}" failed, so the child is not restarted`, cause),
          undefined
        )
      )
    )
  }

  get #kill(): Effect.Effect<void> {
    return Effect.suspend(() => this.#life?.process.signal("SIGKILL") ?? Effect.void)
  }

  #end(exit: ChildExit): void {
    this.#final.openUnsafe()
    this.#set({ _tag: "Ended", exit })
    PubSub.endUnsafe(this.#exits, "end")
    PubSub.endUnsafe(this.#statuses, "end")
    Deferred.doneUnsafe(this.#ended, Effect.succeed(exit))
  }

  #set(status: ChildStatus): void {
    this.#status = status
    PubSub.publishUnsafe(this.#statuses, status)
    for (const listener of this.#listeners) listener()
  }

  /** Runs the check again whenever the child or the membership changes. */
  #until<A, E>(check: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const tick = () => {
        const found = check()
        if (found !== undefined) resume(found)
      }
      this.#listeners.add(tick)
      const unlisten = this.#swarmMember.coordinator.onNotice(tick)
      tick()
      return Effect.sync(() => {
        this.#listeners.delete(tick)
        unlisten()
      })
    })
  }
}

const fiveTimes = ({ code, incarnation }: ChildExit): boolean => code !== 0 && incarnation < 5
