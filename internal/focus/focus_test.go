package focus_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/focus"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

var november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// rules are what the specification says of a column: whether it may be null, and its values.
type rule struct {
	null    bool
	pattern string
}

const (
	decimals = `-?\d+(\.\d+)?`
	instants = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
)

// mandatory are the columns that a file of any version must have.
var mandatory = map[string]rule{
	"BilledCost": {pattern: decimals}, "BillingAccountId": {pattern: `acc_.+`}, "BillingAccountName": {pattern: `.+`},
	"BillingCurrency": {pattern: `USD`}, "BillingPeriodStart": {pattern: instants},
	"BillingPeriodEnd": {pattern: instants}, "ChargeCategory": {pattern: `Usage|Purchase|Tax|Credit|Adjustment`},
	"ChargeClass": {true, `Correction`}, "ChargeDescription": {pattern: `.+`}, "ChargePeriodStart": {pattern: instants},
	"ChargePeriodEnd": {pattern: instants}, "ContractedCost": {pattern: decimals}, "EffectiveCost": {pattern: decimals},
	"InvoiceIssuerName": {pattern: `.+`}, "ListCost": {pattern: decimals}, "PricingQuantity": {true, decimals},
	"PricingUnit": {true, `Hours`}, "ServiceCategory": {pattern: `Compute|Storage`}, "ServiceName": {pattern: `.+`},
	// Conditional and recommended columns, whose conditions hold.
	"ChargeFrequency": {pattern: `One-Time|Recurring|Usage-Based`}, "ConsumedQuantity": {true, decimals},
	"ConsumedUnit": {true, `Hours`}, "ListUnitPrice": {true, decimals},
	"PricingCategory": {true, `Standard|Dynamic|Committed|Other`}, "RegionId": {pattern: `.+`},
	"RegionName": {pattern: `.+`}, "ResourceId": {pattern: `.+`}, "ResourceName": {pattern: `.+`},
	"ResourceType": {pattern: `.+`}, "ServiceSubcategory": {pattern: `Other \((Compute|Storage)\)`},
	"SkuId": {true, `.+`}, "SkuMeter": {true, `.+`}, "SkuPriceId": {true, `.+`}, "SkuPriceDetails": {true, `\{.*\}`},
	"SubAccountId": {true, `.+`}, "SubAccountName": {true, `.+`}, "Tags": {true, `\{.*\}`}, "InvoiceId": {true, `.+`},
}

var ofVersion = map[focus.Version]map[string]rule{
	focus.V12: {"ProviderName": {pattern: `.+`}, "PublisherName": {pattern: `.+`}},
	focus.V14: {
		"ServiceProviderName": {pattern: `.+`}, "HostProviderName": {pattern: `.+`}, "InvoiceDetailId": {true, `.+`},
	},
}

// table is a file that was read: rows by column.
type table []map[string]string

func parse(t rapid.TB, file []byte) (heads []string, rows table) {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range all[1:] {
		row := map[string]string{}
		for i, head := range all[0] {
			row[head] = record[i]
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

// validate checks what the specification requires of a file.
func validate(t rapid.TB, v focus.Version, file []byte) table {
	t.Helper()
	heads, rows := parse(t, file)
	known := map[string]rule{}
	for _, set := range []map[string]rule{mandatory, ofVersion[v]} {
		for name, r := range set {
			known[name] = r
			if !slices.Contains(heads, name) {
				t.Errorf("version %s: the column %s is missing", v, name)
			}
		}
	}
	own := false
	for i, head := range heads {
		_, is := known[head]
		if own = own || strings.HasPrefix(head, "x_"); !is && !strings.HasPrefix(head, "x_") {
			t.Errorf("version %s has no column %s", v, head)
		}
		if is && own || slices.Contains(heads[:i], head) {
			t.Errorf("the column %s is after one of our own, or twice", head)
		}
	}
	skus := map[string]string{}
	for _, row := range rows {
		for name, r := range known {
			if row[name] == "" != (r.null && row[name] == "") ||
				row[name] != "" && !regexp.MustCompile(`^(`+r.pattern+`)$`).MatchString(row[name]) {
				t.Errorf("%s is %q", name, row[name])
			}
		}
		if before, is := skus[row["SkuPriceId"]]; is && before != row["SkuId"] {
			t.Errorf("%s has the SKUs %s and %s", row["SkuPriceId"], before, row["SkuId"])
		}
		skus[row["SkuPriceId"]] = row["SkuId"]
		validateRow(t, row)
	}
	return rows
}

func validateRow(t rapid.TB, row map[string]string) {
	t.Helper()
	at := func(name string) time.Time {
		got, err := time.Parse(time.RFC3339, row[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return got
	}
	start, end, billing := at("ChargePeriodStart"), at("ChargePeriodEnd"), at("BillingPeriodStart")
	if billing.Day() != 1 || !billing.Equal(billing.Truncate(24*time.Hour)) ||
		!at("BillingPeriodEnd").Equal(billing.AddDate(0, 1, 0)) || !start.Before(end) {
		t.Errorf("the periods of %v", row)
	}
	correction := row["ChargeClass"] == "Correction"
	inside := !start.Before(billing) && !end.After(at("BillingPeriodEnd"))
	if inside == correction || correction && !end.Before(billing.Add(time.Second)) {
		t.Errorf("a row of class %q from %s is in the billing period of %s", row["ChargeClass"], start, billing)
	}
	usage := row["ChargeCategory"] == "Usage"
	for _, name := range []string{
		"PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit", "ListUnitPrice", "SkuId", "SkuPriceId",
	} {
		if (row[name] != "") != usage {
			t.Errorf("%s is %q in a row of category %s", name, row[name], row["ChargeCategory"])
		}
	}
	for _, name := range []string{"EffectiveCost", "ListCost", "ContractedCost"} {
		if row[name] != row["BilledCost"] {
			t.Errorf("%s is %s, and BilledCost %s", name, row[name], row["BilledCost"])
		}
	}
	if usage && new(big.Rat).Mul(rat(t, row["PricingQuantity"]), rat(t, row["ListUnitPrice"])).
		Cmp(rat(t, row["ListCost"])) != 0 {
		t.Errorf("%s × %s is not %s", row["PricingQuantity"], row["ListUnitPrice"], row["ListCost"])
	}
	for _, name := range []string{"Tags", "SkuPriceDetails"} {
		if row[name] != "" && !json.Valid([]byte(row[name])) {
			t.Errorf("%s is no JSON: %s", name, row[name])
		}
	}
}

func rat(t rapid.TB, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no decimal", s)
	}
	return r
}

func sum(t rapid.TB, rows table) *big.Rat {
	t.Helper()
	total := new(big.Rat)
	for _, row := range rows {
		total.Add(total, rat(t, row["BilledCost"]))
	}
	return total
}

func dollars(m money.Micros) *big.Rat { return big.NewRat(int64(m), int64(money.USD)) }

// book is the hours of an account, as package wallet has them.
type book struct {
	hours []wallet.Hour
	of    map[id.ID]wallet.Subject
}

// file writes what the wallet would pass to an export of the interval.
func (b book) file(t rapid.TB, v focus.Version, from, to time.Time) []byte {
	t.Helper()
	e := focus.Export{Account: "acc_1", AccountName: "Ada", Seller: "Hopper Cloud", From: from, To: to}
	var out bytes.Buffer
	w, err := focus.NewCSV(&out, v)
	if err != nil {
		t.Fatal(err)
	}
	var begun, refunded []wallet.Hour
	for _, h := range b.hours {
		if !h.From.Before(e.HoursFrom()) && h.From.Before(to) {
			begun = append(begun, h)
		}
		if h.RefundedAt != nil && !h.RefundedAt.Before(from) && h.RefundedAt.Before(to) {
			refunded = append(refunded, h)
		}
	}
	if err := w.Write(e.Rows(begun, b.of)); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(e.Corrections(refunded, b.of)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// anyBook draws hours around the ends of months, some of them refunded in part, at once or later.
func anyBook(t *rapid.T) book {
	b := book{of: map[id.ID]wallet.Subject{}}
	for i := range rapid.IntRange(1, 6).Draw(t, "subjects") {
		subject := id.ID(rapid.SampledFrom([]string{"dep_", "vol_"}).Draw(t, "kind") + strings.Repeat("a", 25) +
			strconv.Itoa(i))
		b.of[subject] = wallet.Subject{
			ID: subject, Project: rapid.SampledFrom([]string{"", "research", "=cmd()"}).Draw(t, "project"),
			Tags:      rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b<c", `q"r`}), 0, 2).Draw(t, "tags"),
			CreatedBy: creator.Creator{Type: creator.Member, ID: "usr_1"},
		}
		begun := november.Add(time.Duration(rapid.IntRange(-7200, 40*86400).Draw(t, "begun")) * time.Second)
		price := money.Micros(rapid.Int64Range(0, 40_000_000).Draw(t, "price"))
		for n := range rapid.IntRange(1, 5).Draw(t, "hours") {
			h := wallet.Hour{
				Subject: subject, Hour: int64(n), From: begun.Add(time.Duration(n) * time.Hour), Amount: price,
				HourlyPrice: price,
				Labels:      wallet.Labels{Provider: "p", Region: "r", GPUType: "NVIDIA B200", Name: "run"},
			}
			if rapid.IntRange(0, 3).Draw(t, "refund") == 0 && price > 0 {
				h.Refunded = money.Micros(rapid.Int64Range(1, int64(price)).Draw(t, "refunded"))
				late := time.Duration(rapid.IntRange(0, 40*86400).Draw(t, "late")) * time.Second
				h.RefundedAt = new(h.From.Add(late))
			}
			b.hours = append(b.hours, h)
		}
	}
	return b
}

func TestAnExportKeepsTheRulesAndSumsUpToTheLedger(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := anyBook(t)
		from, to := november.AddDate(0, -1, 0), november.AddDate(0, 4, 0)
		var want money.Micros
		for _, h := range b.hours {
			want += h.Amount - h.Refunded
		}
		for _, v := range focus.V12.Enum() {
			file := b.file(t, v, from, to)
			rows := validate(t, v, file)
			if got := sum(t, rows); got.Cmp(dollars(want)) != 0 {
				t.Errorf("the rows sum up to %s, the ledger to %s", got.FloatString(12), want)
			}
			if !bytes.Equal(file, b.file(t, v, from, to)) {
				t.Error("a second export differs")
			}
		}
	})
}

// A month that is over stays as it was exported, whatever is refunded later; months do not overlap.
func TestMonthsAddUpAndDoNotChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := anyBook(t)
		all := b.file(t, focus.V12, november.AddDate(0, -1, 0), november.AddDate(0, 4, 0))
		whole := sum(t, validate(t, focus.V12, all))
		byMonth := new(big.Rat)
		for m := november.AddDate(0, -1, 0); m.Before(november.AddDate(0, 4, 0)); m = m.AddDate(0, 1, 0) {
			end := m.AddDate(0, 1, 0)
			file := b.file(t, focus.V12, m, end)
			byMonth.Add(byMonth, sum(t, validate(t, focus.V12, file)))
			// The month as it was when it ended.
			then := book{of: b.of}
			for _, h := range b.hours {
				if h.RefundedAt != nil && !h.RefundedAt.Before(end) {
					h.Refunded, h.RefundedAt = 0, nil
				}
				then.hours = append(then.hours, h)
			}
			if !bytes.Equal(file, then.file(t, focus.V12, m, end)) {
				t.Errorf("%s changed after its end", m.Format("January"))
			}
			_, rows := parse(t, file)
			for _, row := range rows {
				if row["BillingPeriodStart"] != m.Format("2006-01-02T15:04:05Z") {
					t.Errorf("a row of %s is in the file of %s", row["BillingPeriodStart"], m)
				}
			}
		}
		if byMonth.Cmp(whole) != 0 {
			t.Errorf("the months sum up to %s, the whole to %s", byMonth.FloatString(12), whole.FloatString(12))
		}
	})
}

func hour(from time.Time, amount, refunded money.Micros, at *time.Time) book {
	subject := id.ID("dep_" + strings.Repeat("a", 26))
	return book{
		hours: []wallet.Hour{{
			Subject: subject, From: from, Amount: amount, HourlyPrice: amount, Refunded: refunded, RefundedAt: at,
			Labels: wallet.Labels{Provider: "p", Region: "r", GPUType: "NVIDIA B200", Name: "=run()"},
		}},
		of: map[id.ID]wallet.Subject{subject: {Tags: []string{"training"}, Project: "-research"}},
	}
}

func TestRowsOfAnHour(t *testing.T) {
	t.Parallel()
	end := november.AddDate(0, 1, 0)
	later := new(end.Add(time.Hour))
	for name, c := range map[string]struct {
		book book
		want []string
	}{
		"whole": {
			hour(november, 18_400_000, 0, nil),
			[]string{"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 1 18.4"},
		},
		"a quarter is refunded": {
			hour(november, 18_400_000, 4_600_000, new(november.Add(time.Hour))),
			[]string{"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 0.75 13.8"},
		},
		"a second is used": {
			hour(november, 1_000_001, 999_723, new(november.Add(time.Second))),
			[]string{
				"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 0.000278 0.000278000278",
				"Adjustment  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z  -0.000000000278",
			},
		},
		"two thirds of a micro-hour round up": {
			hour(november, 3_000_000, 2_999_998, new(november.Add(time.Second))),
			[]string{
				"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 0.000001 0.000003",
				"Adjustment  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z  -0.000001",
			},
		},
		"the smallest price": {
			hour(november, 1, 0, nil),
			[]string{"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 1 0.000001"},
		},
		"free of charge": {
			hour(november, 0, 0, nil),
			[]string{"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 1 0"},
		},
		"free of charge across the end of the month": {
			hour(end.Add(-15*time.Minute), 0, 0, nil),
			[]string{
				"Usage  2026-11-30T23:45:00Z 2026-12-01T00:00:00Z 0.25 0",
				"Usage  2026-12-01T00:00:00Z 2026-12-01T00:45:00Z 0.75 0",
			},
		},
		"all is refunded": {hour(november, 18_400_000, 18_400_000, new(november.Add(time.Minute))), nil},
		"it crosses the end of the month": {
			hour(end.Add(-15*time.Minute), 18_400_000, 0, nil),
			[]string{
				"Usage  2026-11-30T23:45:00Z 2026-12-01T00:00:00Z 0.25 4.6",
				"Usage  2026-12-01T00:00:00Z 2026-12-01T00:45:00Z 0.75 13.8",
			},
		},
		"it is refunded after the month": {
			hour(november, 18_400_000, 4_600_000, later),
			[]string{
				"Usage  2026-11-01T00:00:00Z 2026-11-01T01:00:00Z 1 18.4",
				"Usage Correction 2026-11-01T00:00:00Z 2026-11-01T01:00:00Z -0.25 -4.6",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			rows := validate(t, focus.V14, c.book.file(t, focus.V14, november, end.AddDate(0, 1, 0)))
			for _, r := range rows {
				got = append(got, strings.Join([]string{
					r["ChargeCategory"], r["ChargeClass"], r["ChargePeriodStart"], r["ChargePeriodEnd"],
					r["PricingQuantity"], r["BilledCost"],
				}, " "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTextsAreNoFormulasInCSVAndUnchangedInJSON(t *testing.T) {
	t.Parallel()
	b := hour(november, 1_000_000, 0, nil)
	_, rows := parse(t, b.file(t, focus.V12, november, november.AddDate(0, 1, 0)))
	row := rows[0]
	if row["ResourceName"] != "'=run()" || row["SubAccountName"] != "'-research" || row["Tags"] != `{"training":true}` {
		t.Errorf("%q", row)
	}
	var out bytes.Buffer
	e := focus.Export{
		Account: "acc_1", AccountName: "Ada", Seller: "Hopper Cloud", From: november, To: november.AddDate(0, 1, 0),
	}
	if err := focus.NewJSONLines(&out, focus.V14).Write(e.Rows(b.hours, b.of)); err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(out.Bytes(), &object); err != nil {
		t.Fatal(err, out.String())
	}
	if tags, _ := object["Tags"].(map[string]any); object["ResourceName"] != "=run()" || object["InvoiceId"] != nil ||
		object["BilledCost"] != 1.0 || tags["training"] != true || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%s", out.String())
	}
}

func TestColumnsThatDescribe(t *testing.T) {
	t.Parallel()
	end := november.AddDate(0, 1, 0)
	deployment := hour(november, 18_400_000, 4_600_001, new(end.Add(time.Hour)))
	volume := book{of: map[id.ID]wallet.Subject{}}
	for of := range deployment.of {
		deployment.of[of] = wallet.Subject{CreatedBy: creator.Creator{Type: creator.APIKey, ID: "key_1"}}
	}
	for _, h := range deployment.hours {
		h.Subject, h.Name, h.GPUType = id.ID("vol_"+strings.Repeat("a", 26)), "data", ""
		volume.hours = append(volume.hours, h)
		volume.of[h.Subject] = wallet.Subject{CreatedBy: creator.Creator{Type: creator.Member, ID: "usr_1"}}
	}
	names := []string{
		"ChargeDescription", "SkuId", "SkuPriceId", "SkuMeter", "ResourceType", "x_ApiKeyId", "x_MemberId",
	}
	node := []string{
		"Deployment =run(): NVIDIA B200 in r", "node/p/r/NVIDIA B200", "node/p/r/NVIDIA B200@18.4", "Node Hours",
		"GPU Node", "key_1", "",
	}
	disk := []string{"Volume data in r", "volume/p/r", "volume/p/r@18.4", "Storage", "Volume", "", "usr_1"}
	for _, c := range []struct {
		book book
		want []string
	}{{deployment, node}, {volume, disk}} {
		_, rows := parse(t, c.book.file(t, focus.V14, november, end.AddDate(0, 1, 0)))
		if len(rows) != 3 {
			t.Fatalf("%d rows, want the hour, its refund and the refund's rounding", len(rows))
		}
		for i, prefix := range []string{"", "Refund of unused time. ", "Rounding. "} {
			want := slices.Clone(c.want)
			want[0] = prefix + want[0]
			if i == 2 { // without a quantity there is no price
				want[1], want[2], want[3] = "", "", ""
			}
			for j, name := range names {
				if rows[i][name] != want[j] {
					t.Errorf("%s is %q, want %q", name, rows[i][name], want[j])
				}
			}
		}
	}
}

// gone is a reader that went away.
type gone struct{ err error }

func (g gone) Write([]byte) (int, error) { return 0, g.err }

// A file that cannot be written is an error, not a short file.
func TestWriteReturnsTheErrorOfTheOutput(t *testing.T) {
	t.Parallel()
	out := gone{errors.New("gone")}
	b := hour(november, 1_000_000, 0, nil)
	e := focus.Export{Account: "acc_1", From: november, To: november.AddDate(0, 1, 0)}
	rows := e.Rows(slices.Repeat(b.hours, 100), b.of) // more than is buffered
	if err := focus.NewJSONLines(out, focus.V14).Write(rows); !errors.Is(err, out.err) {
		t.Errorf("JSON: %v", err)
	}
	w, err := focus.NewCSV(out, focus.V14)
	if err == nil {
		err = w.Write(rows)
	}
	if !errors.Is(err, out.err) || !errors.Is(w.Flush(), out.err) {
		t.Errorf("CSV: %v", err)
	}
}
