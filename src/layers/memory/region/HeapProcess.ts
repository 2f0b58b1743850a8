/**
 * A process of a heap region, played by fibers: its slot, its generation, and its three signals to wait for.
 */
import type { Waiter } from "../../ports/Waiter.ts"
import { ChangeSignal } from "./ChangeSignal.ts"
import { makeRingWaiter } from "./RegionWaiter.ts"

/** What a wait is for: a process is rung only for that. */
export type WaitsFor = "frames" | "room" | "cursor"

export interface HeapProcessOptions {
  readonly slot: number
  readonly generation: number
  readonly name: string
  /** The region's name in errors. */
  readonly region: string
  /** Called once, when it has detached or was killed. */
  readonly onEnd: () => void
}

/** Once it is dead, nothing that it or its finalizers do has any effect. */
export class HeapProcess {
  readonly slot: number
  readonly generation: number
  readonly name: string
  /** Rung when a ring that this process reads has more, and when a ring gets or loses its writer. */
  readonly waiter: Waiter
  /** Rung when a reader releases room that a writer of this process wants. */
  readonly roomWaiter: Waiter
  /** Rung when a reader gets further, comes, goes or is evicted. */
  readonly cursorWaiter: Waiter
  readonly #signals: Readonly<Record<WaitsFor, ChangeSignal>> = {
    frames: new ChangeSignal(),
    room: new ChangeSignal(),
    cursor: new ChangeSignal()
  }
  readonly #onEnd: () => void
  #state: "attached" | "detached" | "killed" = "attached"

  constructor({ generation, name, onEnd, region, slot }: HeapProcessOptions) {
    this.slot = slot
    this.generation = generation
    this.name = name
    this.#onEnd = onEnd
    const waiterFor = (reason: WaitsFor) => makeRingWaiter(this.#signals[reason], region, () => this.#state)
    this.waiter = waiterFor("frames")
    this.roomWaiter = waiterFor("room")
    this.cursorWaiter = waiterFor("cursor")
  }

  get isAlive(): boolean {
    return this.#state === "attached"
  }

  get isKilled(): boolean {
    return this.#state === "killed"
  }

  /** The slot comes free. What this process waits for ends with `RegionLost`. */
  detach(): void {
    this.#end("detached")
  }

  /** Dies as by SIGKILL: its fibers stay where they are and wait for ever. */
  kill(): void {
    this.#end("killed")
  }

  /** Wakes the fibers of this process that wait for this. A dead process is never woken. */
  ring(reason: WaitsFor): void {
    if (this.isAlive) this.#signals[reason].ring()
  }

  #end(state: "detached" | "killed"): void {
    if (!this.isAlive) return
    this.#state = state
    // The fibers of a killed process wait on for ever: no check of theirs runs again.
    if (state === "detached") { for (const signal of Object.values(this.#signals)) signal.ring() }
    this.#onEnd()
  }
}
