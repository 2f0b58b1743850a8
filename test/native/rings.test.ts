import { ringDeliverySuite } from "../suites/ringDelivery.ts"
import { ringFragmentsSuite } from "../suites/ringFragments.ts"
import { ringLapsSuite } from "../suites/ringLaps.ts"
import { ringPoliciesSuite } from "../suites/ringPolicies.ts"
import { nativeRings } from "./ringFamily.ts"

ringDeliverySuite(nativeRings)
ringLapsSuite(nativeRings)
ringFragmentsSuite(nativeRings)
ringPoliciesSuite(nativeRings)
