import { native } from "../backends/native/log.ts"
import { cursorsSuite } from "../suites/log/cursors.ts"
import { durableCursorsSuite } from "../suites/log/durableCursors.ts"

cursorsSuite(native)
durableCursorsSuite(native)
