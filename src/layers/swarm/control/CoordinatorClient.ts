/**
 * Communicates with the coordinator: sends requests on this member's control ring, and receives answers and notices on
 * the coordinator's ring.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { JoinRefused, type MemberEvent } from "../../../services/Coordinator.ts"
import type { OpenRingError } from "../../../services/Ring.ts"
import { CoordinatorLost, isSame, type MemberId, showMember } from "../../../services/schema/Member.ts"
import type { FrameHeader, RingPorts, RingReaderPort, RingWriterPort } from "../../ports/RingPorts.ts"
import { MessageWriter } from "../../ring/RingWriter.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import { everyMember, frameKind, headerOf, isFor, numberSpan, ringNames } from "../transport/FrameAddress.ts"
import { type Handle, RingConsumer } from "../transport/RingConsumer.ts"
import {
  type Answer,
  type Asked,
  type FailureOf,
  type Notice,
  noticeWire,
  type OutcomeOf,
  type Payload,
  type PayloadOf,
  type Request,
  requestWire,
  type SuccessOf
} from "./ControlCodec.ts"
import { type IsForeign, Membership } from "./Membership.ts"
import { Pauses } from "./Pauses.ts"

/** `up`: a coordinator answers. `lost`: it is gone, and a standby may take over. `over`: no standby will. */
export type CoordinatorState = "up" | "lost" | "over"

/** Marks the end of the changes. */
type Change = MemberEvent | "end"

/** A request that waits for its answer. */
interface Pending {
  readonly asked: Asked
  readonly answer: Deferred.Deferred<OutcomeOf<Asked>, CoordinatorLost>
}

/** Makes the payload in the step that writes the request, when its number is known. */
export type Making<Tag extends Asked> = (number: number) => PayloadOf<Tag>

/** Room for all but the longest requests. */
const requestBytes = 1024

export class CoordinatorClient {
  readonly membership: Membership
  readonly #changes: PubSub.PubSub<Change>
  readonly self: MemberId
  readonly #ring: RingPorts["Service"]
  readonly #resolved: ResolvedOptions
  readonly #reader: CoordinatorReader
  readonly #damages = new Pauses()
  #port: RingReaderPort
  /** True while the coordinator's ring is damaged: no notice arrives before it is read anew. */
  #isDeaf = false
  readonly #control: RingWriterPort
  readonly #writer: MessageWriter
  readonly #pending = new Map<number, Pending>()
  readonly #listeners = new Set<(notice: Notice) => void>()
  readonly #up = Latch.makeUnsafe(true)
  readonly #over = Deferred.makeUnsafe<never, CoordinatorLost>()
  #source: RingConsumer
  /**
   * The coordinator's term as this member knows it: the generation of its ring. A new coordinator announces itself some
   * time after it has opened the ring. A request before that is for the former term, and fails with it.
   */
  #term: number
  #state: CoordinatorState = "up"
  #numbers = 0

  private constructor(
    ring: RingPorts["Service"],
    self: MemberId,
    resolved: ResolvedOptions,
    opened: {
      readonly reader: CoordinatorReader
      readonly port: RingReaderPort
      readonly control: RingWriterPort
      readonly writer: MessageWriter
      readonly changes: PubSub.PubSub<Change>
      readonly membership: Membership
    }
  ) {
    this.membership = opened.membership
    this.#ring = ring
    this.self = self
    this.#resolved = resolved
    this.#reader = opened.reader
    this.#port = opened.port
    this.#control = opened.control
    this.#writer = opened.writer
    this.#changes = opened.changes
    this.#source = this.#newSource()
    this.#term = opened.port.generation()
  }

  static readonly open = Effect.fnUntraced(
    function*(ring: RingPorts["Service"], self: MemberId, resolved: ResolvedOptions, isForeign: IsForeign) {
      const control = yield* ring.openWriter(ringNames.control(self.slot))
      const name = ringNames.control(self.slot)
      const writer = new MessageWriter(control, { name, roomDeadline: resolved.answerDeadlineMillis })
      yield* awaitCoordinator(ring, resolved)
      const reader = new CoordinatorReader(ring, yield* Scope.fork(yield* Effect.scope))
      const port = yield* reader.again
      const changes = yield* PubSub.unbounded<Change>()
      const membership = new Membership(isForeign)
      const coordinator = new CoordinatorClient(ring, self, resolved, {
        reader,
        port,
        control,
        writer,
        changes,
        membership
      })
      yield* Effect.forkScoped(Effect.ignore(coordinator.#reading))
      return coordinator
    }
  )

  get state(): CoordinatorState {
    return this.#state
  }

  /** Changes of the membership from now on, until this member has left. */
  get changes(): Stream.Stream<MemberEvent> {
    return Stream.fromPubSub(this.#changes).pipe(
      Stream.takeWhile((change) => change !== "end")
    )
  }

  /** Ends `changes`. */
  endChanges(): void {
    PubSub.endUnsafe(this.#changes, "end")
  }

  /** Calls the listener with each notice, in order, after the notice was applied to the membership. */
  onNotice(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Applies all pending notices. */
  catchUp(): Membership {
    this.#source.catchUp()
    return this.membership
  }

  /** The error with that reason, naming the coordinator. */
  lossBy(reason: CoordinatorLost["reason"]): CoordinatorLost {
    const { info } = this.membership.lossOf(this.membership.coordinator)
    return new CoordinatorLost(info === undefined ? { reason } : { reason, coordinator: info })
  }

  /** Fails once the coordinator is gone and no standby takes over. */
  get lost(): Effect.Effect<never, CoordinatorLost> {
    return Deferred.await(this.#over)
  }

  /** `tell` without waiting, if there is a coordinator and room in the ring. */
  offer<Tag extends Asked>(tag: Tag, make: Making<Tag>): boolean {
    if (this.#state !== "up" || this.#isDeaf || !this.#control.hasRoom(requestBytes)) return false
    const number = this.#nextNumber()
    return this.#writer.offer(this.#framed(number, tag, make(number)), this.#headerOf(number))
  }

  /**
   * Asks the coordinator and waits for its answer, with the success and failures that the verb declares. A request that
   * was refused as such fails with `CoordinatorLost`, like an unanswered one: it may be made again.
   */
  request<Tag extends Asked>(
    tag: Tag,
    ...[payload]: Payload<Tag>
  ): Effect.Effect<SuccessOf<Tag>, FailureOf<Tag> | CoordinatorLost> {
    return Effect.suspend(() => {
      const pending: Pending = { asked: tag, answer: Deferred.makeUnsafe() }
      const answered = Effect.timeoutOrElse(Deferred.await(pending.answer), {
        duration: this.#resolved.answerDeadlineMillis,
        orElse: () => Effect.fail(this.lossBy("silent"))
      })
      const numbered = Effect.flatMap(this.#whenUp, () => {
        const number = this.#nextNumber()
        this.#pending.set(number, pending)
        return Effect.ensuring(
          Effect.andThen(this.#write(tag, () => payload as PayloadOf<Tag>, number), answered),
          Effect.sync(() => this.#pending.delete(number))
        )
      })
      return Effect.flatMap(numbered, (outcome) => Effect.fromResult(outcome as OutcomeOf<Tag>))
    })
  }

  /** Sends a request. The answer, if there is one, arrives as a notice with the number of the request. */
  tell<Tag extends Asked>(
    tag: Tag,
    ...[make]: PayloadOf<Tag> extends void ? [] : [make: Making<Tag>]
  ): Effect.Effect<void, CoordinatorLost> {
    const made: Making<Tag> = make ?? (() => undefined as PayloadOf<Tag>)
    return Effect.flatMap(this.#whenUp, () => this.#write(tag, made, this.#nextNumber()))
  }

  /** Returns the first value of `check` that is not `undefined`. `check` runs after each notice. */
  until<A>(check: () => A | undefined): Effect.Effect<A, CoordinatorLost> {
    const found = Effect.callback<A>((resume) => {
      const isFound = () => {
        const value = check()
        if (value === undefined) return false
        resume(Effect.succeed(value))
        return true
      }
      if (isFound()) return
      const stop = this.onNotice(() => {
        if (isFound()) stop()
      })
      return Effect.sync(stop)
    })
    return Effect.raceFirst(found, this.lost)
  }

  /** Waits until the coordinator reads this member's control ring. */
  get heard(): Effect.Effect<void> {
    const isRead = () => this.#ring.readers(this.#control.ring).length > 0 ? true : undefined
    return Effect.ignore(this.#ring.cursorWaiter.until(isRead))
  }

  /** Waits until the writer of the coordinator's ring has closed it, or is dead. */
  get ended(): Effect.Effect<void> {
    return Effect.ignore(this.#ring.waiter.until(() => this.#port.ended() ? true : undefined))
  }

  /** Checks whether the coordinator lives, after applying the notices that it has sent. */
  tick(): void {
    this.catchUp()
    if (this.#state !== "up" || !this.#port.ended()) return
    this.#state = "lost"
    Latch.closeUnsafe(this.#up)
    this.#publishGone()
  }

  /** Gives up waiting for a standby: the swarm is lost to this member. */
  giveUp(): void {
    if (this.#state !== "lost") return
    this.#state = "over"
    this.#failPending("died")
    Deferred.doneUnsafe(this.#over, Effect.fail(this.lossBy("died")))
    Latch.openUnsafe(this.#up)
    this.endChanges()
  }

  // --- internal ---

  get #whenUp(): Effect.Effect<void, CoordinatorLost> {
    return Effect.flatMap(
      this.#up.await,
      () => this.#state === "over" ? Effect.fail(this.lossBy("died")) : Effect.void
    )
  }

  #nextNumber(): number {
    this.#numbers = (this.#numbers + 1) % numberSpan
    return this.#numbers
  }

  #write<Tag extends Asked>(tag: Tag, make: Making<Tag>, number: number): Effect.Effect<void, CoordinatorLost> {
    return Effect.suspend(() => this.#writer.send(this.#framed(number, tag, make(number)), this.#headerOf(number)))
      .pipe(Effect.catch(() => Effect.fail(this.lossBy("silent"))))
  }

  #framed<Tag extends Asked>(number: number, tag: Tag, payload: PayloadOf<Tag>): Uint8Array {
    return requestWire.encode({ term: this.#term, number, request: { _tag: tag, payload } as Request })
  }

  #headerOf(number: number): FrameHeader {
    return headerOf(frameKind.control, 0, this.self, everyMember, number)
  }

  // Asks for the whole membership after a loss, as when a stopped member was evicted from the coordinator's ring. A
  // takeover may be among the lost notices, so it asks the present writer of the ring.
  readonly #reading: Effect.Effect<void, unknown, Scope.Scope> = Effect.suspend(() => this.#source.runAtOnce).pipe(
    Effect.andThen(Effect.suspend(() => this.#port.evicted() === undefined ? this.#readAnew : this.#rejoined)),
    Effect.andThen(Effect.suspend(() => {
      this.#term = this.#port.generation()
      this.#source = this.#newSource()
      this.#isDeaf = false
      this.#failPending("silent")
      this.#isUp()
      return Effect.forkScoped(Effect.ignore(this.#resync))
    })),
    Effect.forever
  )

  readonly #rejoined: Effect.Effect<void> = Effect.sync(() => this.#port.rejoin())

  // Reads a damaged ring anew. It may be damaged again, so each further try waits longer, and requests wait meanwhile
  // instead of failing again and again.
  readonly #readAnew: Effect.Effect<void> = Effect.clockWith((clock) => {
    const pauseMillis = this.#damages.after(clock.currentTimeMillisUnsafe())
    if (this.#state === "up") Latch.closeUnsafe(this.#up)
    this.#isDeaf = true
    return Effect.logWarning(
      `member ${showMember(this.self)}: the coordinator's ring is damaged: ${this.#port.damage()}. It reads it anew`
    ).pipe(
      Effect.andThen(Effect.sleep(pauseMillis)),
      Effect.andThen(Effect.suspend(() => this.#reader.again)),
      Effect.map((port) => {
        this.#port = port
      }),
      Effect.catch(() => this.#readAnew)
    )
  })

  readonly #resync: Effect.Effect<void, CoordinatorLost> = Effect.suspend(() => {
    const schedule = Schedule.spaced(this.#resolved.livenessIntervalMillis)
    const asked = Effect.suspend(() => this.request("Resync"))
    return Effect.map(
      Effect.retry(asked, { while: ({ reason }) => reason !== "died", schedule }),
      () => this.#publish({ _tag: "Resynced", epoch: this.membership.epoch })
    )
  })

  #newSource(): RingConsumer {
    const take: Handle = ({ correlation, payload, sender }) => {
      if (!isFor(correlation, sender, this.self)) return undefined
      const notice = noticeWire.decode(payload)
      if (notice !== undefined) this.#onNotice(notice)
      return undefined
    }
    return new RingConsumer(this.#port, take, this.#ring.waiter)
  }

  #onNotice(notice: Notice): void {
    // The notice of the takeover may arrive before this member has noticed the end of the old coordinator.
    if (notice._tag === "TookOver" && this.#state === "up") this.#publishGone()
    if (notice._tag === "TookOver") this.#tookOver(notice.term)
    if (notice._tag === "Unheard") this.#failPending("silent")
    const event = this.membership.apply(notice)
    if (notice._tag === "Answered") this.#answered(notice.number, notice.answer)
    if (event !== undefined) this.#publish(event)
    for (const listener of this.#listeners) listener(notice)
  }

  #answered(number: number, answer: Answer): void {
    const pending = this.#pending.get(number)
    if (pending === undefined) return
    if (answer._tag === "RequestRefused") Deferred.doneUnsafe(pending.answer, Effect.fail(this.lossBy("silent")))
    else if (answer._tag === pending.asked) Deferred.doneUnsafe(pending.answer, Effect.succeed(answer.outcome))
  }

  #tookOver(term: number): void {
    if (term !== this.#term) {
      this.#term = term
      this.#failPending("replaced")
    }
    this.#isUp()
  }

  #isUp(): void {
    if (this.#state === "over") return
    this.#state = "up"
    Latch.openUnsafe(this.#up)
  }

  #publishGone(): void {
    this.#publish({ _tag: "CoordinatorGone", coordinator: this.membership.coordinator })
  }

  #publish(event: MemberEvent): void {
    PubSub.publishUnsafe(this.#changes, event)
  }

  #failPending(reason: CoordinatorLost["reason"]): void {
    // Copy first: a failed request may be sent again at once, and must not fail with these.
    const failing = [...this.#pending.values()]
    this.#pending.clear()
    for (const { answer } of failing) Deferred.doneUnsafe(answer, Effect.fail(this.lossBy(reason)))
    for (const listener of this.#lossListeners) listener(reason)
  }

  readonly #lossListeners = new Set<(reason: CoordinatorLost["reason"]) => void>()

  /** Calls the listener when pending requests may never be answered. */
  onLoss(listener: (reason: CoordinatorLost["reason"]) => void): void {
    this.#lossListeners.add(listener)
  }

  /** True while this process's own member coordinates. */
  get coordinates(): boolean {
    return isSame(this.membership.coordinator, this.self)
  }
}

/** The reader of the coordinator's ring: one at a time, in a scope that lasts until this member has left. */
class CoordinatorReader {
  readonly #ring: RingPorts["Service"]
  readonly #scope: Scope.Scope
  #current: Scope.Closeable | undefined

  constructor(ring: RingPorts["Service"], scope: Scope.Scope) {
    this.#ring = ring
    this.#scope = scope
  }

  /** Opens another reader, after closing the previous one, whose place is then free. */
  readonly again: Effect.Effect<RingReaderPort, OpenRingError> = Effect.uninterruptible(Effect.suspend(() => {
    const before = this.#current
    return Effect.gen({ self: this }, function*() {
      if (before !== undefined) yield* Scope.close(before, Exit.void)
      this.#current = yield* Scope.fork(this.#scope)
      return yield* Scope.provide(this.#ring.openReader(ringNames.coordinator), this.#current)
    })
  }))
}

const awaitCoordinator = (ring: RingPorts["Service"], { joinDeadlineMillis }: ResolvedOptions) => {
  const isWritten = Effect.map(
    ring.rings,
    (rings) => rings.some(({ name, written }) => written && name === ringNames.coordinator)
  )
  const written = ring.waiter.until(() => Effect.runSync(isWritten) ? true : undefined)
  const refused = () => Effect.fail(new JoinRefused({ reason: "noCoordinator" }))
  return written.pipe(
    Effect.catch(refused),
    Effect.timeoutOrElse({ duration: joinDeadlineMillis, orElse: refused })
  )
}
