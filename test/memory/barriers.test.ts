import { barrierModesSuite } from "../suites/barrierModes.ts"
import { memorySwarms } from "./swarmFamily.ts"

barrierModesSuite(memorySwarms)
