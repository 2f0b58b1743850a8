import { memory } from "../backends/memory/log.ts"
import { cursorsSuite } from "../suites/log/cursors.ts"
import { durableCursorsSuite } from "../suites/log/durableCursors.ts"

cursorsSuite(memory)
durableCursorsSuite(memory)
