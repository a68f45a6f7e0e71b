package invoice

import "strings"

// currencies are the national currencies of ISO 4217 with their minor units: the decimals of an
// amount. Funds codes, metals, codes for tests and former currencies are not among them: no tax is
// stated in them.
var currencies = func() map[string]int {
	all := map[string]int{}
	for digits, codes := range map[int]string{
		0: `BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF`,
		2: `
			AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD
			CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP
			GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT
			LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN
			NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB
			SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
			THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`,
		3: `BHD IQD JOD KWD LYD OMR TND`,
	} {
		for code := range strings.FieldsSeq(codes) {
			all[code] = digits
		}
	}
	return all
}()

// isCurrency reports whether the text is the code of a national currency in ISO 4217.
func isCurrency(code string) bool {
	_, is := currencies[code]
	return is
}
