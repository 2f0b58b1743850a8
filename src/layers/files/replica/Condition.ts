/**
 * A replica's condition, as its writer finds it, and the events of its changes.
 */
import type { ReplicaCondition, ReplicaEvent } from "../../../services/Replica.ts"

export class Condition {
  readonly #dir: string
  readonly #tell: (event: ReplicaEvent) => void
  #condition: ReplicaCondition = "catching up"
  #detail = ""

  constructor(dir: string, tell: (event: ReplicaEvent) => void) {
    this.#dir = dir
    this.#tell = tell
  }

  get condition(): ReplicaCondition {
    return this.#condition
  }

  get detail(): string {
    return this.#detail
  }

  /** Tells the change, if it is one. */
  set(condition: ReplicaCondition, detail = ""): void {
    if (condition === this.#condition && detail === this.#detail) return
    this.#condition = condition
    this.#detail = detail
    this.#tell({ _tag: "ReplicaChanged", dir: this.#dir, condition, detail })
  }
}
