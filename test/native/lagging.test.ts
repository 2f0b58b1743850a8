import { native, nativeFlushed } from "../backends/native/log.ts"
import { laggingSuite } from "../suites/log/lagging.ts"

laggingSuite(native)
laggingSuite(nativeFlushed)
