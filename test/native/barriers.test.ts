import { barrierModesSuite } from "../suites/barrierModes.ts"
import { nativeSwarms } from "./swarmFamily.ts"

barrierModesSuite(nativeSwarms)
