package invoice

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/emailaddr"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

const (
	maxName    = 128
	maxAddress = 128
	maxCode    = 40
	maxText    = 500
)

// Party is the seller or the buyer on a document. The fields are exported by embedding.
type Party struct {
	Name         string `json:"name" maxLength:"128" example:"Example GmbH" doc:"Name of the company or user."`
	AddressLine1 string `json:"addressLine1" maxLength:"128" example:"1 Example Street" doc:"Street and number."`
	AddressLine2 string `json:"addressLine2" maxLength:"128" doc:"Further part of the address."`
	PostalCode   string `json:"postalCode" maxLength:"40" example:"10115" doc:"Postal code."`
	City         string `json:"city" maxLength:"128" example:"Berlin" doc:"City."`
	State        string `json:"state" maxLength:"128" doc:"State or province, where addresses have one."`
	Country      string `json:"country" maxLength:"2" example:"DE" doc:"Country, as a code of ISO 3166-1 with two letters."`
	VATID        string `json:"vatId" maxLength:"40" example:"DE123456789" doc:"VAT identification number, or another tax number outside of the EU."`
	Email        string `json:"email" maxLength:"254" example:"billing@example.com" doc:"Email address for questions about documents."`
}

// Seller is who sells: the operator of the cloud.
type Seller struct {
	Party
	TaxNumber    string `json:"taxNumber" maxLength:"40" example:"27/123/45678" doc:"Tax number of a seller without a VAT identification number."`
	Registration string `json:"registration" maxLength:"128" example:"HRB 12345, Amtsgericht Berlin" doc:"Registration of the company."`
	BankDetails  string `json:"bankDetails" maxLength:"500" doc:"Bank account, in one line."`
	Note         string `json:"note" maxLength:"500" doc:"Text at the end of each document, in one line."`
	TaxCurrency  string `json:"taxCurrency" maxLength:"3" example:"EUR" doc:"Currency in which documents state the tax besides US dollars, as a code of ISO 4217; empty for US dollars only."`
}

// Buyer is who buys: an account.
type Buyer struct {
	Party
	PurchaseOrder string `json:"purchaseOrder" maxLength:"128" doc:"Reference of the buyer, such as a purchase order, that is repeated on each document."`
}

// countryName returns the English name of a country, or its code.
func countryName(code string) string {
	if r, err := language.ParseRegion(code); err == nil {
		if name := display.English.Regions().Name(r); name != "" {
			return name
		}
	}
	return code
}

// vatIDs are the forms of VAT identification numbers in the member states of the EU, without spaces
// and punctuation. Greece's begin with EL.
var vatIDs = map[string]*regexp.Regexp{}

func init() {
	for country, form := range map[string]string{
		"AT": `ATU\d{8}`, "BE": `BE[01]\d{9}`, "BG": `BG\d{9,10}`, "CY": `CY\d{8}[A-Z]`, "CZ": `CZ\d{8,10}`,
		"DE": `DE\d{9}`, "DK": `DK\d{8}`, "EE": `EE\d{9}`, "GR": `EL\d{9}`, "ES": `ES[A-Z0-9]\d{7}[A-Z0-9]`,
		"FI": `FI\d{8}`, "FR": `FR[A-HJ-NP-Z0-9]{2}\d{9}`, "HR": `HR\d{11}`, "HU": `HU\d{8}`,
		"IE": `IE(\d{7}[A-W][A-I]?|\d[A-Z+*]\d{5}[A-W])`, "IT": `IT\d{11}`, "LT": `LT(\d{9}|\d{12})`,
		"LU": `LU\d{8}`, "LV": `LV\d{11}`, "MT": `MT\d{8}`, "NL": `NL[A-Z0-9+*]{10}\d{2}`, "PL": `PL\d{10}`,
		"PT": `PT\d{9}`, "RO": `RO\d{2,10}`, "SE": `SE\d{10}01`, "SI": `SI\d{8}`, "SK": `SK\d{10}`,
	} {
		vatIDs[country] = regexp.MustCompile(`^` + form + `$`)
	}
}

// inEU reports whether the country is a member state of the EU.
func inEU(country string) bool { return vatIDs[country] != nil }

// normalized returns the party with the country and tax number in one form.
func (p Party) normalized() Party {
	for _, text := range []*string{&p.Name, &p.AddressLine1, &p.AddressLine2, &p.PostalCode, &p.City, &p.State,
		&p.Country, &p.VATID, &p.Email} {
		*text = strings.TrimSpace(*text)
	}
	p.Country = strings.ToUpper(p.Country)
	if inEU(p.Country) {
		p.VATID = strings.ToUpper(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(p.VATID))
	}
	return p
}

// check returns what is wrong with a party. The prefix comes before the names of fields.
func (p Party) check(prefix string) (errs []apierr.FieldError) {
	add := func(field, format string, args ...any) {
		errs = append(errs, apierr.FieldError{Field: prefix + field, Message: fmt.Sprintf(format, args...)})
	}
	for _, t := range []struct {
		field, text string
		most        int
	}{
		{"name", p.Name, maxName},
		{"addressLine1", p.AddressLine1, maxAddress},
		{"addressLine2", p.AddressLine2, maxAddress},
		{"postalCode", p.PostalCode, maxCode},
		{"city", p.City, maxAddress},
		{"state", p.State, maxAddress},
		{"vatId", p.VATID, maxCode},
	} {
		errs = append(errs, apierr.CheckText(prefix+t.field, t.text, t.most)...)
	}
	if p.Country != "" && !isCountry(p.Country) {
		add("country", "must be a country code with two letters, such as DE or US.")
	}
	if form := vatIDs[p.Country]; p.VATID != "" && form != nil && !form.MatchString(p.VATID) {
		add("vatId", "does not have the form of a VAT identification number of %s. It begins with %s.",
			countryName(p.Country), form.String()[1:3])
	}
	if p.VATID != "" && p.Country == "" {
		add("country", "is required with vatId.")
	}
	if p.Email != "" {
		if wrong := emailaddr.Check(p.Email); wrong != "" {
			add("email", "%s", wrong)
		}
	}
	return errs
}

// lines returns the address as the lines of a letter.
func (p Party) lines() []string {
	city := strings.TrimSpace(p.PostalCode + " " + p.City)
	if p.State != "" {
		city = strings.TrimPrefix(city+", "+p.State, ", ")
	}
	var all []string
	for _, l := range []string{p.Name, p.AddressLine1, p.AddressLine2, city} {
		if l != "" {
			all = append(all, l)
		}
	}
	if p.Country != "" {
		all = append(all, countryName(p.Country))
	}
	return all
}
