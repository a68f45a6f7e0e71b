package settings

import (
	"context"
	"fmt"

	"github.com/billetcloud/billet/internal/db"
)

// storedMail is a Mail without what follows from the rest.
type storedMail struct {
	Host, User, FromAddress, FromName, ReplyTo string
	Port                                       int64
	TLS                                        TLSMode
}

// row is the one row of the table.
type row struct {
	Settings
	id       int64
	mail     storedMail
	payments storedPayments
}

var rows = db.NewTable("settings", func(r *row) []db.Column {
	return []db.Column{
		db.Col("id", &r.id),
		db.Col("version", &r.Version),
		db.Col("changed_at", &r.ChangedAt),
		db.Col("installation", db.JSON(&r.Installation)),
		db.Col("mail", db.JSON(&r.mail)),
		db.Col("mail_password", &r.password),
		db.Col("sign_up", db.JSON(&r.SignUp)),
		db.Col("public_pages", db.JSON(&r.PublicPages)),
		db.Col("branding", db.JSON(&r.Branding)),
		db.Col("payments", db.JSON(&r.payments)),
		db.Col("wallet", db.JSON(&r.Wallet)),
		db.Col("stripe_key", &r.stripeKey),
		db.Col("stripe_webhook_secret", &r.stripeSecret),
		db.Col("service_credits", db.JSON(&r.ServiceCredits)),
		db.Col("gpu_health", db.JSON(&r.GPUHealth)),
	}
})

func read(ctx context.Context, r db.Reader, lock string) (Settings, error) {
	found, _, err := rows.Find(ctx, r, `WHERE id = 1`+lock)
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings: %w", err)
	}
	m := found.mail
	found.Mail = Mail{
		Host: m.Host, Port: m.Port, TLS: m.TLS, User: m.User, FromAddress: m.FromAddress, FromName: m.FromName,
		ReplyTo: m.ReplyTo,
	}
	found.Payments = found.payments.payments()
	return found.Settings, nil
}

func write(ctx context.Context, tx *db.Tx, s Settings) error {
	m := s.Mail
	return rows.Put(ctx, tx, []string{"id"}, row{
		Settings: s, id: 1, mail: storedMail{
			Host: m.Host, Port: m.Port, TLS: m.TLS, User: m.User, FromAddress: m.FromAddress, FromName: m.FromName,
			ReplyTo: m.ReplyTo,
		}, payments: s.Payments.stored(),
	})
}

// storedLogo is the one row of the logo's table.
type storedLogo struct {
	id                          int64
	version, mediaType, content string // content in base64
}

var logos = db.NewTable("settings_logo", func(l *storedLogo) []db.Column {
	return []db.Column{
		db.Col("id", &l.id), db.Col("version", &l.version), db.Col("media_type", &l.mediaType),
		db.Col("content", &l.content),
	}
})

// putLogo replaces the logo; nil removes it.
func putLogo(ctx context.Context, tx *db.Tx, logo *Logo, content string) error {
	if logo == nil {
		_, err := logos.Delete(ctx, tx, db.Is("id", 1))
		return err
	}
	return logos.Put(ctx, tx, []string{"id"}, storedLogo{1, logo.Version, logo.MediaType, content})
}

func findLogo(ctx context.Context, r db.Reader) (storedLogo, bool, error) {
	return logos.Find(ctx, r, `WHERE id = 1`)
}
