/**
 * The state that the sequencer keeps between passes, besides the lanes, sessions and topics themselves.
 */
import type { SequencerEvent } from "../../../../services/Sequencer.ts"
import type { Heap, Pending, Session } from "../LogState.ts"

export interface OrderOptions {
  readonly epochMicros: number
  /** How long a gap of a session may last; 0: for ever. */
  readonly leaseMicros: number
  readonly manual: boolean
  readonly ignoreSessionOrder: boolean
}

/** The most descriptors taken from one lane in one pass, so that no lane starves another. */
export const scanBudget = 256

/** The most batches of one epoch. */
export const readyLimit = 4096

export class SequencerState {
  readonly heap: Heap
  readonly options: OrderOptions
  /** The batches of the open epoch, in the order of their commit. */
  readonly ready: Array<{ readonly session: Session; readonly batch: Pending }> = []
  readySinceMicros = 0
  /** The client slot at which the next pass begins its round robin. */
  firstClient = 0
  paused = false
  /** When gaps were counted last, in monotonic microseconds. */
  leasesCountedMicros = 0
  /** Events not yet published to the streams of events. */
  events: Array<SequencerEvent> = []
  passes = 0
  commits = 0
  batches = 0
  messages = 0
  duplicates = 0
  purged = 0

  constructor(heap: Heap, options: OrderOptions) {
    this.heap = heap
    this.options = options
  }

  /** Forgets what the server knew that the log has had before: another one begins. */
  begin(): void {
    this.ready.length = 0
    this.firstClient = this.readySinceMicros = 0
    this.paused = false
    this.leasesCountedMicros = this.heap.monotonicMicros()
    this.events = []
    this.passes =
      this.commits =
      this.batches =
      this.messages =
      this.duplicates =
      this.purged =
        0
  }

  /** Whether the sequencer runs passes on its own. */
  get runs(): boolean {
    return !this.options.manual && !this.paused
  }

  get active(): ReadonlyArray<Session> {
    return this.heap.sessions.filter((session) => session?.state === "active") as ReadonlyArray<Session>
  }

  get held(): number {
    return this.active.reduce((held, session) => held + session.held, 0)
  }

  takeEvents(): ReadonlyArray<SequencerEvent> {
    const events = this.events
    this.events = []
    return events
  }
}
