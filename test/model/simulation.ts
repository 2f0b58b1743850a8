/**
 * Runs an effect in a simulated world: time advances when no fiber has work left, and a seed determines the order of
 * turns. The same seed gives the same run, step by step.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scheduler from "effect/Scheduler"
import type { Random } from "./choices.ts"

/** The run did not end within its time. */
export class Stuck extends Error {
  constructor(millis: number) {
    super(`nothing ended it within ${millis} ms of its own time`)
  }
}

/** Turns of the simulation within one turn of the event loop. */
const turnsAtOnce = 2000

export const simulate = <A, E>(
  effect: Effect.Effect<A, E>,
  random: Random,
  limitMillis: number
): Promise<Exit.Exit<A, E | Stuck>> =>
  new Promise((resolve) => {
    const turns = new Turns(random)
    const clock = new SimulatedClock()
    let exit: Exit.Exit<A, E> | undefined
    // Drop the logs of deaths: in thousands of runs they are of no use, and a line costs as much as the run.
    const quiet = effect.pipe(Effect.provide(Logger.layer([])), Effect.provideService(Clock.Clock, clock))
    const fiber = Effect.runFork(quiet, { scheduler: turns })
    fiber.addObserver((ended) => {
      exit = ended
    })
    let taken = 0
    // Give each turn a microtask of its own, so that work deferred to the end of a turn is done before the next.
    const next = (): void => {
      if (exit !== undefined) return resolve(exit)
      if (clock.millis > limitMillis || !(turns.take() || clock.advance())) {
        return resolve(Exit.die(new Stuck(limitMillis)))
      }
      taken += 1
      if (taken % turnsAtOnce === 0) setImmediate(next)
      else queueMicrotask(next)
    }
    queueMicrotask(next)
  })

class Turns implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly #random: Random
  readonly #tasks: Array<() => void> = []

  constructor(random: Random) {
    this.#random = random
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => void this.#tasks.push(task),
      flush: () => {
        while (this.take());
      }
    }
  }

  /** Gives one fiber a turn. False when no fiber wants one. */
  take(): boolean {
    const tasks = this.#tasks
    if (tasks.length === 0) return false
    const drawn = this.#random(tasks.length)
    const task = tasks[drawn] as () => void
    const last = tasks.pop() as () => void
    if (drawn < tasks.length) tasks[drawn] = last
    task()
    return true
  }
}

interface Sleep {
  readonly until: number
  readonly wake: () => void
}

class SimulatedClock implements Clock.Clock {
  millis = 0
  /** Sorted so that the next to wake is last. */
  readonly #sleeps: Array<Sleep> = []

  readonly currentTimeMillis = Effect.sync(() => this.millis)
  readonly currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())

  currentTimeMillisUnsafe(): number {
    return this.millis
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.millis)) * 1_000_000n
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    return Effect.callback((resume) => {
      const sleep: Sleep = { until: this.millis + millis, wake: () => resume(Effect.void) }
      this.#insert(sleep)
      return Effect.sync(() => {
        const at = this.#sleeps.indexOf(sleep)
        if (at >= 0) this.#sleeps.splice(at, 1)
      })
    })
  }

  /** Wakes the next sleeper. False when all are awake. */
  advance(): boolean {
    const next = this.#sleeps.pop()
    if (next === undefined || next.until === Infinity) return false
    this.millis = Math.max(this.millis, next.until)
    next.wake()
    return true
  }

  #insert(sleep: Sleep): void {
    let low = 0
    let high = this.#sleeps.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sleeps[middle] as Sleep).until > sleep.until) low = middle + 1
      else high = middle
    }
    this.#sleeps.splice(low, 0, sleep)
  }
}
