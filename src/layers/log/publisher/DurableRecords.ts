/**
 * How many records of a publisher are durable.
 *
 * A look notes how many records are committed, and then a count of the topic's index, which holds all of them. Once the
 * required replicas have that much of the index, these records are durable. No look says which entries are the session's:
 * so a few notes are enough, whatever the order of sessions is.
 */
import type { LanePort } from "../../ports/LanePort.ts"

/** The notes kept at once. When all are taken the last one stands for more records, which are then acknowledged together. */
const notesMax = 64

export class DurableRecords {
  #acknowledged = 0
  #noted = 0
  readonly #records = new Float64Array(notesMax)
  readonly #points = new Float64Array(notesMax)
  /** The notes from `#first` on, below `#end`, are not durable yet. Their place is the count modulo their number. */
  #first = 0
  #end = 0

  /**
   * The publisher's durable records. `committed`: those that are committed over all its sessions, of which `lanes` has the
   * last one; read just before this call.
   */
  look(committed: number, lanes: LanePort): number {
    if (committed > this.#noted) this.#note(committed, lanes.commitPoint())
    if (this.#first < this.#end) this.#advance(lanes.durableIndex())
    return this.#acknowledged
  }

  #note(committed: number, point: number | undefined): void {
    if (point === undefined) return
    if (this.#end - this.#first === notesMax) this.#end -= 1
    this.#records[this.#end % notesMax] = committed
    this.#points[this.#end % notesMax] = point
    this.#end += 1
    this.#noted = committed
  }

  #advance(durableIndex: number): void {
    while (this.#first < this.#end && (this.#points[this.#first % notesMax] as number) <= durableIndex) {
      this.#acknowledged = this.#records[this.#first % notesMax] as number
      this.#first += 1
    }
  }
}
