import { ringDeliverySuite } from "../suites/ringDelivery.ts"
import { ringFragmentsSuite } from "../suites/ringFragments.ts"
import { ringLapsSuite } from "../suites/ringLaps.ts"
import { ringPoliciesSuite } from "../suites/ringPolicies.ts"
import { memoryRings } from "./ringFamily.ts"

ringDeliverySuite(memoryRings)
ringLapsSuite(memoryRings)
ringFragmentsSuite(memoryRings)
ringPoliciesSuite(memoryRings)
