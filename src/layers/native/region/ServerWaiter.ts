/**
 * Waits of one client for changes of a log, also while no process serves it: until a deadline another process may continue
 * it.
 */
import * as Effect from "effect/Effect"
import {
  epochState,
  type NativeEpoch,
  type NativeServer,
  type RegionHandle,
  serverState,
  sleepsFor
} from "../../../native/binding.ts"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { type NamedProcess, processIdOf } from "../../../services/schema/ProcessId.ts"
import type { Server } from "../../../services/schema/Server.ts"
import { awaitingServerLine, quietMillis } from "../../log/serverDeadline.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import type { RegionWaiter } from "./RegionWaiter.ts"

export interface Patience {
  /** How long it waits for a process that continues the log of a dead server. */
  readonly deadlineMillis: number
  /** Told once for each server that is gone, in case no other process continues its log soon. */
  readonly tell: (line: string) => void
}

/** The time since this client has noticed that no process serves the log. */
interface Absence {
  /** The newest epoch that was served: a client that slept through a whole epoch begins a new absence. */
  readonly epoch: number
  readonly sinceMillis: number
  told: boolean
}

export class ServerWaiter implements LogWaiter {
  readonly #waiter: RegionWaiter
  readonly #handle: RegionHandle
  readonly #region: string
  readonly #patience: Patience
  #absence: Absence | undefined

  constructor(handle: RegionHandle, region: string, waiter: RegionWaiter, patience: Patience) {
    this.#handle = handle
    this.#region = region
    this.#waiter = waiter
    this.#patience = patience
  }

  readonly until = <A>(check: () => A | undefined): Effect.Effect<A, RegionLost> =>
    this.#waiter.untilRungFor(sleepsFor.data, check, { lossOf: this.#lossOf })

  readonly untilEnded = <A>(check: () => A | undefined): Effect.Effect<A, RegionLost> =>
    this.#waiter.untilRungFor(sleepsFor.end, check, { lossOf: this.#lossOf })

  readonly untilLost: Effect.Effect<never, RegionLost> = Effect.suspend(() => {
    const lost = this.lost()
    if (lost !== undefined) return Effect.fail(lost)
    return this.#waiter.untilRungFor<never>(sleepsFor.end, () => undefined, { lossOf: this.#lossOf })
  })

  readonly untilServedOrLost: Effect.Effect<void, RegionLost> = Effect.suspend(() => {
    if (!this.awaitsServer()) return Effect.void
    const check = (): true | undefined => this.awaitsServer() ? undefined : true
    return Effect.asVoid(this.#waiter.untilRungFor(sleepsFor.end | sleepsFor.data, check, { lossOf: this.#lossOf }))
  })

  lost(): RegionLost | undefined {
    const found = this.#lossOf()
    return found instanceof RegionLost ? found : undefined
  }

  awaitsServer(): boolean {
    return typeof this.#lossOf() === "number"
  }

  server(): Server | undefined {
    return this.#waiter.isClosed ? undefined : serverOf(this.#handle)
  }

  /** True once the attachment has ended, and every wait with it. */
  get isClosed(): boolean {
    return this.#waiter.isClosed
  }

  readonly #lossOf = (): RegionLost | number | undefined => {
    if (this.#waiter.isClosed) return this.#ended
    const found = this.#handle.server()
    if (found.state === serverState.stopped) return this.#ended
    if (isServed(found)) {
      this.#absence = undefined
      return undefined
    }
    if (this.#handle.replaced()) return this.#lostWith(found, "replaced")
    const { deadlineMillis } = this.#patience
    const absence = this.#absent()
    const waitedMillis = performance.now() - absence.sinceMillis
    if (waitedMillis >= deadlineMillis) return this.#lostWith(found, "died")
    if (waitedMillis >= quietMillis && !absence.told) {
      const { successor } = successorOf(found)
      const server = servedLast(this.#handle) ?? namedServer(found)
      this.#patience.tell(awaitingServerLine(this.#region, server, deadlineMillis, successor))
      absence.told = true
    }
    return Math.min(lookMillis, deadlineMillis - waitedMillis)
  }

  #absent(): Absence {
    const epoch = newestServed(this.#handle)?.epoch ?? 0
    if (this.#absence?.epoch === epoch) return this.#absence
    return this.#absence = { epoch, sinceMillis: performance.now(), told: false }
  }

  #lostWith(found: NativeServer, reason: "died" | "replaced"): RegionLost {
    const server = servedLast(this.#handle) ?? namedServer(found)
    return new RegionLost({
      region: this.#region,
      reason,
      ...server === undefined ? {} : { server },
      ...reason === "died" ? successorOf(found) : {}
    })
  }

  get #ended(): RegionLost {
    return new RegionLost({ region: this.#region, reason: "stopped" })
  }
}

/** The process that serves the log; of a log without a server the last one, and the one that is about to continue it. */
export const serverOf = (handle: RegionHandle): Server | undefined => {
  const found = handle.server()
  const { name, own, pid, state } = found
  if (pid === 0) return undefined
  const server = { serving: state !== serverState.unknown, ...processIdOf(found), name, own }
  if (isServed(found)) return server
  const former = servedLast(handle)
  if (former === undefined) return { ...server, gone: true }
  return { serving: true, ...former, own: false, gone: true, ...successorOf(found) }
}

// --- internal ---

// The newest epoch of all may be of a process that has only begun to continue the log.
const newestServed = (handle: RegionHandle): NativeEpoch | undefined => {
  const served = handle.epochs().filter(({ state }) => state === epochState.serving)
  return served.toSorted((a, b) => b.epoch - a.epoch)[0]
}

const servedLast = (handle: RegionHandle): NamedProcess | undefined => {
  const found = newestServed(handle)
  return found === undefined || found.pid === 0 ? undefined : { ...processIdOf(found), name: found.name }
}

/** How often a client without a server looks whether the region has been discarded meanwhile: nothing rings it then. */
const lookMillis = 100

// Before the log is served for the first time, its creator counts as its server.
const isServed = ({ alive, state }: NativeServer): boolean =>
  state === serverState.serving || (state === serverState.unknown && alive)

/** The process that continues the log of one that is gone, and has not finished. */
const successorOf = (found: NativeServer): { readonly successor?: NamedProcess } => {
  const successor = found.state === serverState.recovering && !found.own ? namedServer(found) : undefined
  return successor === undefined ? {} : { successor }
}

const namedServer = (found: NativeServer): NamedProcess | undefined =>
  found.pid === 0 ? undefined : { ...processIdOf(found), name: found.name }
