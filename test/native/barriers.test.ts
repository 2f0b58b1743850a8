import { barrierFailuresSuite } from "../suites/barrierFailures.ts"
import { barrierModesSuite } from "../suites/barrierModes.ts"
import { barrierProtocolSuite } from "../suites/barrierProtocol.ts"
import { barrierRoundsSuite } from "../suites/barrierRounds.ts"
import { nativeSwarms } from "./swarmFamily.ts"

barrierModesSuite(nativeSwarms)
barrierRoundsSuite(nativeSwarms)
barrierFailuresSuite(nativeSwarms)
barrierProtocolSuite(nativeSwarms)
