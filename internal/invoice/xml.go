package invoice

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// The document in the syntax UN/CEFACT CII of the European standard EN 16931. The order of the
// fields is that of the schema. encoding/xml writes the prefixes as they are.

type cii struct {
	XMLName  xml.Name    `xml:"rsm:CrossIndustryInvoice"`
	RSM      string      `xml:"xmlns:rsm,attr"`
	RAM      string      `xml:"xmlns:ram,attr"`
	UDT      string      `xml:"xmlns:udt,attr"`
	QDT      string      `xml:"xmlns:qdt,attr"`
	Profile  string      `xml:"rsm:ExchangedDocumentContext>ram:GuidelineSpecifiedDocumentContextParameter>ram:ID"`
	Document ciiDocument `xml:"rsm:ExchangedDocument"`
	Trade    ciiTrade    `xml:"rsm:SupplyChainTradeTransaction"`
}

type ciiDocument struct {
	ID       string    `xml:"ram:ID"`
	TypeCode int       `xml:"ram:TypeCode"`
	Issued   ciiDate   `xml:"ram:IssueDateTime>udt:DateTimeString"`
	Notes    []ciiNote `xml:"ram:IncludedNote"`
}

type ciiNote struct {
	Content string `xml:"ram:Content"`
}

type ciiDate struct {
	Format string `xml:"format,attr"`
	Day    string `xml:",chardata"`
}

type ciiTrade struct {
	Lines      []ciiLine     `xml:"ram:IncludedSupplyChainTradeLineItem"`
	Agreement  ciiAgreement  `xml:"ram:ApplicableHeaderTradeAgreement"`
	Delivery   ciiDelivery   `xml:"ram:ApplicableHeaderTradeDelivery"`
	Settlement ciiSettlement `xml:"ram:ApplicableHeaderTradeSettlement"`
}

type ciiDelivery struct {
	On *ciiDate `xml:"ram:ActualDeliverySupplyChainEvent>ram:OccurrenceDateTime>udt:DateTimeString"`
}

type ciiLine struct {
	ID       string      `xml:"ram:AssociatedDocumentLineDocument>ram:LineID"`
	Product  ciiProduct  `xml:"ram:SpecifiedTradeProduct"`
	Price    ciiPrice    `xml:"ram:SpecifiedLineTradeAgreement>ram:NetPriceProductTradePrice"`
	Quantity ciiQuantity `xml:"ram:SpecifiedLineTradeDelivery>ram:BilledQuantity"`
	Settle   ciiSettle   `xml:"ram:SpecifiedLineTradeSettlement"`
}

// ciiPrice is a price for a quantity; for one if it is nil.
type ciiPrice struct {
	Amount string       `xml:"ram:ChargeAmount"`
	For    *ciiQuantity `xml:"ram:BasisQuantity"`
}

type ciiProduct struct {
	ID          string `xml:"ram:SellerAssignedID,omitempty"`
	Name        string `xml:"ram:Name"`
	Description string `xml:"ram:Description,omitempty"`
}

type ciiQuantity struct {
	Unit  string `xml:"unitCode,attr"`
	Value string `xml:",chardata"`
}

type ciiSettle struct {
	Tax    ciiLineTax `xml:"ram:ApplicableTradeTax"`
	Period *ciiPeriod `xml:"ram:BillingSpecifiedPeriod"`
	Total  string     `xml:"ram:SpecifiedTradeSettlementLineMonetarySummation>ram:LineTotalAmount"`
}

type ciiLineTax struct {
	Type     string   `xml:"ram:TypeCode"`
	Category Category `xml:"ram:CategoryCode"`
	Percent  string   `xml:"ram:RateApplicablePercent,omitempty"`
}

type ciiPeriod struct {
	From ciiDate `xml:"ram:StartDateTime>udt:DateTimeString"`
	To   ciiDate `xml:"ram:EndDateTime>udt:DateTimeString"`
}

type ciiAgreement struct {
	Reference string     `xml:"ram:BuyerReference,omitempty"`
	Seller    ciiParty   `xml:"ram:SellerTradeParty"`
	Buyer     ciiParty   `xml:"ram:BuyerTradeParty"`
	Order     *ciiOrigin `xml:"ram:BuyerOrderReferencedDocument"`
}

type ciiParty struct {
	ID      string      `xml:"ram:ID,omitempty"`
	Name    string      `xml:"ram:Name"`
	Legal   *ciiLegal   `xml:"ram:SpecifiedLegalOrganization"`
	Address ciiAddress  `xml:"ram:PostalTradeAddress"`
	Email   *ciiEmail   `xml:"ram:URIUniversalCommunication>ram:URIID"`
	Tax     *ciiTaxable `xml:"ram:SpecifiedTaxRegistration>ram:ID"`
}

func (p ciiParty) hasVATID() bool { return p.Tax != nil && p.Tax.Scheme == "VA" }

type ciiLegal struct {
	ID string `xml:"ram:ID"`
}

type ciiAddress struct {
	PostalCode string `xml:"ram:PostcodeCode,omitempty"`
	Line1      string `xml:"ram:LineOne,omitempty"`
	Line2      string `xml:"ram:LineTwo,omitempty"`
	City       string `xml:"ram:CityName,omitempty"`
	Country    string `xml:"ram:CountryID"`
	State      string `xml:"ram:CountrySubDivisionName,omitempty"`
}

type ciiEmail struct {
	Scheme  string `xml:"schemeID,attr"`
	Address string `xml:",chardata"`
}

type ciiTaxable struct {
	Scheme string `xml:"schemeID,attr"`
	ID     string `xml:",chardata"`
}

type ciiSettlement struct {
	Reference string `xml:"ram:PaymentReference,omitempty"`
	// TaxCurrency is BT-6, whose amount is the second of Sums.Tax: BT-111.
	TaxCurrency string     `xml:"ram:TaxCurrencyCode,omitempty"`
	Currency    string     `xml:"ram:InvoiceCurrencyCode"`
	Tax         ciiTax     `xml:"ram:ApplicableTradeTax"`
	Period      ciiPeriod  `xml:"ram:BillingSpecifiedPeriod"`
	Terms       *ciiTerms  `xml:"ram:SpecifiedTradePaymentTerms"`
	Sums        ciiSums    `xml:"ram:SpecifiedTradeSettlementHeaderMonetarySummation"`
	Corrects    *ciiOrigin `xml:"ram:InvoiceReferencedDocument"`
}

type ciiTerms struct {
	Description string `xml:"ram:Description"`
}

type ciiOrigin struct {
	ID string `xml:"ram:IssuerAssignedID"`
}

type ciiTax struct {
	Amount     string   `xml:"ram:CalculatedAmount"`
	Type       string   `xml:"ram:TypeCode"`
	Reason     string   `xml:"ram:ExemptionReason,omitempty"`
	Basis      string   `xml:"ram:BasisAmount"`
	Category   Category `xml:"ram:CategoryCode"`
	ReasonCode string   `xml:"ram:ExemptionReasonCode,omitempty"`
	Percent    string   `xml:"ram:RateApplicablePercent,omitempty"`
}

type ciiSums struct {
	Lines    string   `xml:"ram:LineTotalAmount"`
	Basis    string   `xml:"ram:TaxBasisTotalAmount"`
	Tax      []ciiCur `xml:"ram:TaxTotalAmount"`
	Rounding string   `xml:"ram:RoundingAmount,omitempty"`
	Grand    string   `xml:"ram:GrandTotalAmount"`
	Prepaid  string   `xml:"ram:TotalPrepaidAmount"`
	Due      string   `xml:"ram:DuePayableAmount"`
}

type ciiCur struct {
	Currency string `xml:"currencyID,attr"`
	Amount   string `xml:",chardata"`
}

// cents writes an amount with two decimals.
func cents(m money.Micros) string {
	sign, c := "", m/cent
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

func ciiDay(t time.Time) ciiDate { return ciiDate{"102", t.UTC().Format("20060102")} }

// lastDay is the day that an exclusive end is the end of.
func lastDay(from, to time.Time) ciiDate {
	if to = to.Add(-time.Microsecond); to.Before(from) {
		to = from
	}
	return ciiDay(to)
}

func (d Document) xml() ([]byte, error) {
	t := d.Totals
	out := cii{
		RSM: "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
		RAM: "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
		UDT: "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
		QDT: "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
		// The plain standard, without national rules.
		Profile:  "urn:cen.eu:en16931:2017",
		Document: ciiDocument{ID: d.Number, TypeCode: 380, Issued: ciiDay(d.IssuedAt)},
	}
	if d.Type == CreditNote {
		out.Document.TypeCode = 381
	}
	for _, n := range d.notes() {
		out.Document.Notes = append(out.Document.Notes, ciiNote{n})
	}
	if d.Reason != "" {
		out.Document.Notes = append(out.Document.Notes, ciiNote{"Reason: " + d.Reason})
	}
	out.Trade.Lines = d.ciiLines()
	out.Trade.Agreement = d.ciiAgreement()
	last := lastDay(d.From, d.To)
	out.Trade.Delivery.On = &last
	s := &out.Trade.Settlement
	s.Reference, s.Currency = d.Number, d.Currency
	s.Tax = ciiTax{
		Amount: cents(t.Tax), Type: "VAT", Basis: cents(t.Net), Category: t.Treatment.Category,
		Percent: t.Treatment.ciiPercent(), Reason: t.Treatment.Reason,
	}
	switch t.Treatment.Category {
	case ReverseCharge:
		s.Tax.ReasonCode = "VATEX-EU-AE"
	case Outside:
		s.Tax.ReasonCode = "VATEX-EU-O"
	}
	s.Period = ciiPeriod{ciiDay(d.From), last}
	if t.Due > 0 {
		s.Terms = &ciiTerms{"Paid by adding money to the prepaid balance."}
	}
	s.Sums = ciiSums{
		Lines: cents(t.Net), Basis: cents(t.Net), Tax: []ciiCur{{d.Currency, cents(t.Tax)}},
		Grand:   cents(t.Net + t.Tax),
		Prepaid: cents(t.Paid), Due: cents(t.Due),
	}
	if c := d.TaxConversion; c.inXML() {
		s.TaxCurrency, s.Sums.Tax = c.Currency, append(s.Sums.Tax, ciiCur{c.Currency, c.Amount})
	}
	if t.TaxRounding != 0 {
		s.Sums.Rounding = cents(t.TaxRounding)
	}
	if d.CorrectsNumber != "" {
		s.Corrects = &ciiOrigin{d.CorrectsNumber}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), e.Close()
}

// ciiPercent is the rate; there must be none outside the scope of the tax.
func (t Treatment) ciiPercent() string {
	if t.Category == Outside {
		return ""
	}
	return t.Percent.String()
}

// ciiLines divides the net total among the lines: each gets the difference of the rounded sums up
// to it and before it, so that the lines add up to the total.
func (d Document) ciiLines() (out []ciiLine) {
	t := d.Totals
	lines := d.Lines
	if len(lines) == 0 { // the standard requires one
		lines = []Line{{Name: "No usage in this month", From: &d.From, To: &d.To}}
	}
	var sum, before money.Micros
	for i, l := range lines {
		sum += l.Amount
		upTo := toCents(withoutTax(sum, t.Treatment.Percent))
		if i == len(lines)-1 {
			upTo = t.Net
		}
		amount := upTo - before
		before = upTo
		n := ciiLine{
			ID: fmt.Sprint(i + 1), Product: ciiProduct{ID: string(l.Subject), Name: l.Name},
			Settle: ciiSettle{
				Tax:   ciiLineTax{"VAT", t.Treatment.Category, t.Treatment.ciiPercent()},
				Total: cents(amount),
			},
		}
		n.Product.Description = l.ciiDescription()
		if l.From != nil && l.To != nil {
			n.Settle.Period = &ciiPeriod{ciiDay(*l.From), lastDay(*l.From, *l.To)}
		}
		n.Price, n.Quantity = ciiPriced(amount, l.Seconds)
		out = append(out, n)
	}
	return out
}

// ciiPriced returns a price and a quantity whose product is exactly the amount: the amount for so
// many hours, times these hours. The hourly price times the hours would not be, because each hour
// is rounded by itself. A price is never negative. An amount whose sign is not that of the hours
// comes from the rounding of the lines, and is for one piece.
func ciiPriced(amount money.Micros, seconds int64) (ciiPrice, ciiQuantity) {
	hours, negative := hoursOf(seconds), seconds < 0
	abs := max(amount, -amount)
	if zero := hoursOf(0); hours == zero || "-"+zero == hours || amount != 0 && negative != (amount < 0) {
		quantity := ciiQuantity{"C62", "1"}
		if amount < 0 {
			quantity.Value = "-1"
		}
		return ciiPrice{cents(abs), nil}, quantity
	}
	return ciiPrice{cents(abs), &ciiQuantity{"HUR", strings.TrimPrefix(hours, "-")}}, ciiQuantity{"HUR", hours}
}

// ciiDescription has the hourly price with tax, which is what the deployment or volume is sold at.
func (l Line) ciiDescription() string {
	detail := l.page(0).Detail
	if l.From == nil || l.HourlyPrice == 0 {
		return detail
	}
	return strings.TrimPrefix(fmt.Sprintf("%s; %s per hour with tax", detail, usd(l.HourlyPrice)), "; ")
}

func (d Document) ciiAgreement() ciiAgreement {
	a := ciiAgreement{Seller: d.Seller.cii(), Buyer: d.Buyer.cii(), Reference: d.Buyer.PurchaseOrder}
	if d.Buyer.PurchaseOrder != "" {
		a.Order = &ciiOrigin{d.Buyer.PurchaseOrder}
	}
	if a.Buyer.Address.Country == "" { // the standard requires one; such a buyer is taxed as one at home
		a.Buyer.Address.Country = d.Seller.Country
	}
	if d.Seller.Registration != "" {
		a.Seller.Legal = &ciiLegal{d.Seller.Registration}
	}
	if d.Totals.Treatment.Category == Outside { // which excludes VAT identification numbers
		a.Buyer.Tax = nil
		if a.Seller.hasVATID() {
			a.Seller.Tax, a.Seller.ID = nil, d.Seller.VATID // a number of the seller remains
		}
	}
	if d.Seller.TaxNumber != "" && !a.Seller.hasVATID() {
		a.Seller.Tax = &ciiTaxable{"FC", d.Seller.TaxNumber}
	}
	registered := a.Seller.Legal != nil || a.Seller.hasVATID()
	if a.Seller.ID == "" && !registered { // it needs some identifier
		a.Seller.ID = orText(d.Seller.VATID, d.Seller.Name)
	}
	if a.Buyer.Tax != nil && a.Buyer.Tax.Scheme != "VA" {
		a.Buyer.Tax = nil // there is no place for another tax number of a buyer
	}
	return a
}

func (p Party) cii() ciiParty {
	out := ciiParty{Name: p.Name, Address: ciiAddress{
		PostalCode: p.PostalCode, Line1: p.AddressLine1, Line2: p.AddressLine2, City: p.City, Country: p.Country,
		State: p.State,
	}}
	if p.Email != "" {
		out.Email = &ciiEmail{"EM", p.Email}
	}
	if p.VATID != "" {
		scheme := "FC" // a tax number of another kind
		if inEU(p.Country) || strings.HasPrefix(p.VATID, p.Country) {
			scheme = "VA"
		}
		out.Tax = &ciiTaxable{scheme, p.VATID}
	}
	return out
}
