/**
 * Builds the service `Ring` over the ports of a backend.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import { readOptions, refuseUnlessBytes } from "../../services/input/OptionInvalid.ts"
import { Ring, type RingWriterOptions } from "../../services/Ring.ts"
import { RingPorts } from "../ports/RingPorts.ts"
import { makeRingReader, openWhenWritten } from "./RingReader.ts"
import { makeRingWriter } from "./RingWriter.ts"

export const makeRing = (ports: RingPorts["Service"]): Ring["Service"] =>
  Ring.of({
    writer: (options) =>
      Effect.andThen(
        checkWriterOptions(options),
        Effect.map(ports.openWriter(options.name), (port) => makeRingWriter(port, options))
      ),
    reader: (options) => Effect.map(openWhenWritten(ports, options), (port) => makeRingReader(port, options)),
    rings: ports.rings,
    readers: ports.readers
  })

/** The services that a backend's ring layer provides: the ports, and the service over them. */
export const ringContext = (ports: RingPorts["Service"]): Context.Context<Ring | RingPorts> =>
  Context.make(RingPorts, ports).pipe(Context.add(Ring, makeRing(ports)))

// --- internal ---

/** Refuses impossible options before the ring is claimed. */
const checkWriterOptions = ({ messageBytesMax = 0, roomDeadline = 0 }: RingWriterOptions) =>
  readOptions("", () => {
    millisOf("roomDeadline", roomDeadline)
    refuseUnlessBytes("messageBytesMax", messageBytesMax)
  })
