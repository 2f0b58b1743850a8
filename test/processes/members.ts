/**
 * Starts member actors, tells them what to do, and waits for the outcome. An actor that outlives its test is killed
 * with the test's scope.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import type * as Swarm from "../../src/layers/Swarm.ts"
import type { BarrierMode } from "../../src/services/schema/BarrierArrival.ts"
import type { MemberInfo } from "../../src/services/schema/Member.ts"
import type { ChildSpec, ChildStatus } from "../../src/services/Spawner.ts"
import { bundled } from "../bundles.ts"
import type { FencePlan } from "../suites/barrier/fenceRun.ts"
import type { WalkPlan } from "../suites/barrier/rapidReuse.ts"
import { freshRegion } from "./harness.ts"
import { type ActorFailed, type Exited, OrderedActor } from "./orders.ts"

/** `child`: joins as its environment says. */
export type MemberRole = "coordinator" | "member" | "child"

export type Order =
  | { readonly _tag: "enter"; readonly name: string; readonly mode?: BarrierMode; readonly deadlineMillis?: number }
  | { readonly _tag: "state" | "leave" | "shutdown" | "lost" | "ready" | "heard" | "abort" | "wedge" | "hang" | "end" }
  | { readonly _tag: "publish" | "waitFor"; readonly name: string }
  | { readonly _tag: "joinGroup"; readonly group: string }
  /** Plays its role in the trial of fences: the collector without a number, else that worker. */
  | { readonly _tag: "fence"; readonly plan: FencePlan; readonly worker?: number }
  | { readonly _tag: "walkRounds"; readonly plan: WalkPlan }
  | { readonly _tag: "takeBlocks"; readonly restMillis: number }
  | { readonly _tag: "sendBlocks"; readonly blocks: number; readonly bytes: number }
  | { readonly _tag: "chatter"; readonly times: number }
  | { readonly _tag: "invite"; readonly expiresMillis: number }
  | { readonly _tag: "spawn"; readonly count: number; readonly kind: ChildSpec }
  | { readonly _tag: "release"; readonly index: number }
  | { readonly _tag: "exit" | "die"; readonly code: number }

export interface MemberState {
  readonly self: MemberInfo
  readonly coordinates: boolean
  readonly epoch: number
  readonly members: ReadonlyArray<string>
  readonly suspects: ReadonlyArray<string>
  readonly children: ReadonlyArray<ChildStatus>
  /** Its environment variables of this project. */
  readonly environment: ReadonlyArray<string>
  /** File descriptors that it has open. */
  readonly descriptors: number
}

export class MemberActor extends OrderedActor<Order> {
  /** Returns once it is a member. */
  readonly joined: Effect.Effect<MemberInfo, ActorFailed> = Effect.suspend(() => this.answer<MemberInfo>(0))

  get state(): Effect.Effect<MemberState, ActorFailed> {
    return this.do<MemberState>({ _tag: "state" })
  }

  /** Lets it leave and end. */
  readonly end: Effect.Effect<Exited> = Effect.suspend(() => {
    this.order({ _tag: "end" })
    return this.exit
  })
}

export const memberScript = bundled("test/processes/memberActor.ts")

export interface StartOptions extends Partial<Swarm.CoordinatorOptions> {
  readonly env?: Readonly<Record<string, string>>
}

/** Small rings, so that regions are created and filled fast. */
export const smallSizes: Swarm.SwarmSizes = { members: 6, ringBytes: 16 * 1024, plainRings: 1 }

export const startMember = (
  role: MemberRole,
  region: string,
  { env, ...options }: StartOptions = {}
): Effect.Effect<MemberActor, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const settings = role === "child" ? options : { region, ...smallSizes, ...options }
      const child = fork(memberScript, [role, JSON.stringify(settings)], {
        env: { ...process.env, ...env },
        stdio: ["ignore", 1, 2, "ipc"]
      })
      return new MemberActor(child)
    }),
    (actor) => {
      actor.signal("SIGKILL")
      return actor.exit
    }
  )

/** A member that has joined. */
export const member = (region: string, name: string, options: StartOptions = {}) =>
  Effect.tap(startMember("member", region, { name, ...options }), (actor) => actor.joined)

export const coordinator = (region: string, name: string, options: StartOptions = {}) =>
  Effect.tap(startMember("coordinator", region, { name, ...options }), (actor) => actor.joined)

/** Polls, for states without an event. */
export const untilHolds = <E, R>(what: string, holds: Effect.Effect<boolean, E, R>, millis = 20_000) =>
  Effect.gen(function*() {
    while (!(yield* holds)) yield* Effect.sleep(5)
  }).pipe(
    Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.die(new Error(`it never came true: ${what}`)) })
  )

/** True once the process is dead, even if its parent has not reaped it yet. */
export const isGone = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.startsWith("Z") === true
  } catch {
    return true
  }
}

/** Whether the file is there that processes attach to. */
export const isNamed = (region: string): boolean => filesOf(region).includes(`ringfence-${region}`)

/** The files of a region in shared memory: itself, and its processes' doorbells. */
export const filesOf = (region: string): ReadonlyArray<string> =>
  readdirSync("/dev/shm").filter((name) => name === `ringfence-${region}` || name.startsWith(`ringfence-${region}.`))

/** A test with a region of its own, which must leave nothing in shared memory. */
export const regionTest = <A, E>(
  promise: string,
  run: (region: string) => Effect.Effect<A, E, Scope.Scope>
): void =>
  it.live(promise, () => {
    const region = freshRegion("swarm")
    const remove = Effect.sync(() => filesOf(region).forEach((name) => rmSync(`/dev/shm/${name}`)))
    return Effect.scoped(run(region)).pipe(
      Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(filesOf(region), []))),
      Effect.ensuring(remove)
    )
  }, 60_000)
