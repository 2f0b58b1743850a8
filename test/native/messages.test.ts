import { messengerDeliverySuite } from "../suites/messengerDelivery.ts"
import { messengerHandlersSuite } from "../suites/messengerHandlers.ts"
import { nativeSwarms } from "./swarmFamily.ts"

messengerDeliverySuite(nativeSwarms)
messengerHandlersSuite(nativeSwarms)
