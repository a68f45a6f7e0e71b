package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	netmail "net/mail"
	"net/url"
	"strings"
	"text/template"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/settings"
	gomail "github.com/wneessen/go-mail"
)

//go:embed templates
var files embed.FS

// layout.txt and layout.html show the same page.
var (
	textLayout = template.Must(template.ParseFS(files, "templates/layout.txt"))
	htmlLayout = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/layout.html"))
)

// page is what both layouts show.
type page struct {
	Installation, Subject string
	Paragraphs            []string
	Button, Link          string
	Support, Terms        string
	Privacy, Preferences  string
	// Color, ColorText and Logo are for HTML; each may be "".
	Color, ColorText, Logo string
	// LogoOnly is for a wide logo, which contains the name.
	LogoOnly              bool
	LogoWidth, LogoHeight int64
}

// logoHeight and logoWidth are the most pixels that a logo takes in a mail.
const logoHeight, logoWidth = 32, 240

// branded adds the logo, which needs an address, and the color.
func (p page) branded(s settings.Settings, public *url.URL) page {
	p.Color, p.ColorText = s.Branding.PrimaryColor, s.Branding.TextColor()
	if logo := s.Branding.Logo; logo != nil && public != nil {
		if at, err := public.Parse(logo.URL); err == nil {
			p.Logo, p.LogoWidth, p.LogoHeight = at.String(), max(logo.Width*logoHeight/logo.Height, 1), logoHeight
			p.LogoOnly = logo.Width >= 2*logo.Height
			if p.LogoWidth > logoWidth {
				p.LogoWidth, p.LogoHeight = logoWidth, max(logo.Height*logoWidth/logo.Width, 1)
			}
		}
	}
	return p
}

// parsed are the templates of a kind.
type parsed struct{ body, path *template.Template }

var templates = parse()

func parse() map[Kind]parsed {
	all := map[Kind]parsed{}
	for _, s := range specs {
		one := func(text string) *template.Template {
			return template.Must(template.New(string(s.kind)).Option("missingkey=error").Parse(text))
		}
		all[s.kind] = parsed{one(s.body), one(s.path)}
	}
	return all
}

// content is a composed mail.
type content struct{ subject, text, html string }

// compose writes a mail's text. public is nil if the server does not know its own URL.
func compose(s settings.Settings, public *url.URL, kind Kind, link string, data map[string]string) (content, error) {
	sp := specOf(kind)
	values := map[string]string{"installation": s.Installation.Name, "help": "your operator"}
	if s.Installation.SupportAddress != "" {
		values["help"] = s.Installation.SupportAddress
	}
	for name, value := range data {
		if values[name] = apierr.Visible(value); sp.lines { // else one line each
			values[name] = paragraphs(value)
		}
	}
	p := page{
		Installation: s.Installation.Name, Subject: sp.subject, Support: s.Installation.SupportAddress,
		Terms: s.Installation.TermsURL, Privacy: s.Installation.PrivacyURL,
	}
	body, err := execute(templates[kind].body, values)
	if err != nil {
		return content{}, err
	}
	p.Paragraphs = strings.Split(body, "\n\n")
	path, err := execute(templates[kind].path, values)
	if err != nil {
		return content{}, err
	}
	if p.Link = link; link == "" && path != "" && public != nil {
		path, query, _ := strings.Cut(path, "?")
		at := public.JoinPath(path)
		at.RawQuery = query
		p.Link = at.String()
	}
	if p.Link != "" {
		p.Button = sp.button
	}
	if !sp.always && public != nil {
		p.Preferences = public.JoinPath("/settings/profile").String()
	}
	return p.branded(s, public).content()
}

// paragraphs returns the lines of a text as paragraphs.
func paragraphs(text string) string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(apierr.Visible(line)); line != "" {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n\n")
}

// composeTest writes the mail that an operator tests the mail server with.
func composeTest(s settings.Settings, public *url.URL) (content, error) {
	return page{
		Installation: s.Installation.Name, Subject: "Test email", Support: s.Installation.SupportAddress,
		Paragraphs: []string{"This email tests the mail server of " + s.Installation.Name + ". It arrived."},
	}.branded(s, public).content()
}

func (p page) content() (content, error) {
	var text, html bytes.Buffer
	if err := textLayout.Execute(&text, p); err != nil {
		return content{}, err
	}
	err := htmlLayout.Execute(&html, p)
	return content{p.Subject, text.String(), html.String()}, err
}

func execute(t *template.Template, values map[string]string) (string, error) {
	var out strings.Builder
	err := t.Execute(&out, values)
	return out.String(), err
}

// message returns the composed mail with its headers.
func message(s settings.Settings, mailID id.ID, to string, c content, now time.Time) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&netmail.Address{Name: s.Sender(), Address: s.Mail.FromAddress}) // quotes the name
	if err := m.To(to); err != nil {
		return nil, err
	}
	if s.Mail.ReplyTo != "" {
		if err := m.ReplyTo(s.Mail.ReplyTo); err != nil {
			return nil, err
		}
	}
	m.Subject(c.subject)
	m.SetDateWithValue(now)
	m.SetMessageIDWithValue(string(mailID) + "@" + domainOf(s.Mail.FromAddress))
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, c.text)
	m.AddAlternativeString(gomail.TypeTextHTML, c.html)
	return m, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Text returns a value as mails show it: times in UTC, amounts in US dollars.
func Text(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format("January 2, 2006 at 15:04 UTC")
	case *time.Time:
		if v == nil {
			return ""
		}
		return Text(*v)
	case money.Micros:
		return dollars(v)
	default:
		return fmt.Sprint(v)
	}
}

// dollars rounds to cents, down, so that no mail promises more than there is.
func dollars(m money.Micros) string {
	const cent = money.Micros(10_000)
	rest := m % cent
	if rest < 0 {
		rest += cent
	}
	return exactly(m - rest)
}

// exactly returns the whole amount: cents, and further decimals where it has them.
func exactly(m money.Micros) string {
	s := m.String()
	start, point := strings.IndexByte(s, '$')+1, strings.IndexByte(s, '.')
	for at := point - 3; at > start; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
