package focus

import (
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/creator"
)

// Version is a version of the specification.
type Version string

// The versions that are written.
const (
	V12 Version = "1.2"
	V14 Version = "1.4"
)

// Enum lists every version.
func (Version) Enum() []Version { return []Version{V12, V14} }

// kind is how a value is written.
type kind int

const (
	text kind = iota
	number
	object // JSON
)

// column is a column of the format.
type column struct {
	name string
	kind kind
	// only is the one version that has the column; "" for both.
	only Version
	// free marks text that users choose.
	free bool
	// value is the text of a row's value; "" is null.
	value func(*Row) string
}

func constant(s string) func(*Row) string { return func(*Row) string { return s } }

// ifPriced is a value of rows that have a quantity at a price; others have null.
func ifPriced(value func(*Row) string) func(*Row) string {
	return func(r *Row) string {
		if !r.priced() {
			return ""
		}
		return value(r)
	}
}

func either(node, volume string) func(*Row) string {
	return func(r *Row) string {
		if r.volume() {
			return volume
		}
		return node
	}
}

func cost(r *Row) string { return decimal(r.cost) }

func seller(r *Row) string { return r.seller() }

func quantity(r *Row) string { return r.quantity.Decimal() }

// columns are the columns in the order in which they are written. Ours begin with x_ and are last.
var columns = []column{
	{name: "BilledCost", kind: number, value: cost},
	{name: "BillingAccountId", value: func(r *Row) string { return string(r.export.Account) }},
	{name: "BillingAccountName", free: true, value: func(r *Row) string { return r.export.AccountName }},
	{name: "BillingCurrency", value: constant("USD")},
	{name: "BillingPeriodEnd", value: func(r *Row) string { return stamp(monthAfter(r.billed)) }},
	{name: "BillingPeriodStart", value: func(r *Row) string { return stamp(month(r.billed)) }},
	{name: "ChargeCategory", value: func(r *Row) string { return r.category }},
	{name: "ChargeClass", value: func(r *Row) string {
		if r.correction {
			return "Correction"
		}
		return ""
	}},
	{name: "ChargeDescription", value: (*Row).description},
	{name: "ChargeFrequency", value: func(r *Row) string {
		if r.category == adjustment {
			return "One-Time"
		}
		return "Usage-Based"
	}},
	{name: "ChargePeriodEnd", value: func(r *Row) string { return stamp(r.to) }},
	{name: "ChargePeriodStart", value: func(r *Row) string { return stamp(r.from) }},
	{name: "ConsumedQuantity", kind: number, value: ifPriced(quantity)},
	{name: "ConsumedUnit", value: ifPriced(constant("Hours"))},
	{name: "ContractedCost", kind: number, value: cost},
	{name: "EffectiveCost", kind: number, value: cost},
	{name: "HostProviderName", only: V14, value: func(r *Row) string { return r.hour.Provider }},
	{name: "InvoiceDetailId", only: V14, value: constant("")},
	{name: "InvoiceId", value: constant("")},
	{name: "InvoiceIssuerName", value: seller},
	{name: "ListCost", kind: number, value: cost},
	{name: "ListUnitPrice", kind: number, value: ifPriced(func(r *Row) string { return r.hour.HourlyPrice.Decimal() })},
	{name: "PricingCategory", value: ifPriced(constant("Standard"))},
	{name: "PricingQuantity", kind: number, value: ifPriced(quantity)},
	{name: "PricingUnit", value: ifPriced(constant("Hours"))},
	{name: "ProviderName", only: V12, value: seller},
	{name: "PublisherName", only: V12, value: seller},
	{name: "RegionId", value: func(r *Row) string { return r.hour.Region }},
	{name: "RegionName", value: func(r *Row) string { return r.hour.Region }},
	{name: "ResourceId", value: func(r *Row) string { return string(r.hour.Subject) }},
	{name: "ResourceName", free: true, value: func(r *Row) string { return r.hour.Name }},
	{name: "ResourceType", value: either("GPU Node", "Volume")},
	{name: "ServiceCategory", value: either("Compute", "Storage")},
	{name: "ServiceName", value: either("Bare Metal GPU", "Volumes")},
	{name: "ServiceProviderName", only: V14, value: seller},
	{name: "ServiceSubcategory", value: either("Other (Compute)", "Other (Storage)")},
	{name: "SkuId", value: ifPriced((*Row).sku)},
	{name: "SkuMeter", value: ifPriced(either("Node Hours", "Storage"))},
	{name: "SkuPriceDetails", kind: object, value: ifPriced(func(r *Row) string {
		if r.volume() {
			return ""
		}
		return encode(map[string]string{"x_GpuType": r.hour.GPUType})
	})},
	{name: "SkuPriceId", value: ifPriced(func(r *Row) string { return r.sku() + "@" + r.hour.HourlyPrice.Decimal() })},
	{name: "SubAccountId", free: true, value: func(r *Row) string { return r.subject.Project }},
	{name: "SubAccountName", free: true, value: func(r *Row) string { return r.subject.Project }},
	{name: "Tags", kind: object, value: tags},
	{name: "x_ApiKeyId", value: func(r *Row) string { return r.creatorID(creator.APIKey) }},
	{name: "x_GpuType", value: func(r *Row) string { return r.hour.GPUType }},
	{name: "x_MemberId", value: func(r *Row) string { return r.creatorID(creator.Member) }},
	{name: "x_Provider", value: func(r *Row) string { return r.hour.Provider }},
}

// tags are a JSON object. A tag without a value has the value true.
func tags(r *Row) string {
	if len(r.subject.Tags) == 0 {
		return ""
	}
	all := map[string]bool{}
	for _, t := range r.subject.Tags {
		all[t] = true
	}
	return encode(all)
}

// encode returns a map as JSON, with its keys in order.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("focus: " + err.Error()) // maps of texts are always JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// of returns the columns of a version.
func of(v Version) []column {
	return slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.only != "" && c.only != v })
}

// stamp formats a time, which is of a whole second.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// decimal formats trillionths of a US dollar without trailing zeros.
func decimal(n *big.Int) string {
	digits := new(big.Int).Abs(n).String()
	if len(digits) <= 12 {
		digits = strings.Repeat("0", 13-len(digits)) + digits
	}
	whole, fraction := digits[:len(digits)-12], strings.TrimRight(digits[len(digits)-12:], "0")
	if fraction != "" {
		whole += "." + fraction
	}
	if n.Sign() < 0 {
		return "-" + whole
	}
	return whole
}
