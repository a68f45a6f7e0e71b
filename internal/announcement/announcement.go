package announcement

import (
	"context"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/provideraccount"
)

// Level is how important an announcement is.
type Level string

// The levels.
const (
	Info     Level = "info"
	Warning  Level = "warning"
	Critical Level = "critical"
)

// Enum lists every level.
func (Level) Enum() []Level { return []Level{Info, Warning, Critical} }

const (
	// Kept is how long an announcement is kept after its end.
	Kept = 90 * 24 * time.Hour
	// maxLength is the longest time from the beginning to the end.
	maxLength = 365 * 24 * time.Hour
	// maxOpen is the most announcements that have not ended.
	maxOpen = 100
	// maxText is the most characters of a text, maxLines the most lines.
	maxText, maxLines = 2000, 40
)

// Notice is what an account reads of an announcement.
type Notice struct {
	ID        id.ID     `json:"id" doc:"Id of the announcement, ann_…"`
	Title     string    `json:"title" doc:"Title, one line."`
	Text      string    `json:"text" doc:"Plain text, which may have several lines; may be empty."`
	Level     Level     `json:"level" doc:"How important it is."`
	StartsAt  time.Time `json:"startsAt" doc:"Time from which it is shown."`
	EndsAt    time.Time `json:"endsAt" doc:"Time until which it is shown."`
	ChangedAt time.Time `json:"changedAt" doc:"Time of the last change of the announcement."`
}

// Announcement is an announcement as the operator sees it.
type Announcement struct {
	Notice
	Provider  string    `json:"provider" doc:"Slug of the provider: it is for accounts with a running or stopped machine there; empty for all accounts."`
	Region    string    `json:"region" doc:"Slug of the provider's region; empty for all of its regions."`
	Banner    bool      `json:"banner" doc:"Whether the dashboard and the status page show it."`
	Mail      bool      `json:"mail" doc:"Whether it is emailed to members, once."`
	CreatedAt time.Time `json:"createdAt" doc:"Time of its creation."`
	// MailedAt is nil while members are missing.
	MailedAt *time.Time `json:"mailedAt" doc:"When all emails had been queued; null before, or if it is not emailed."`

	// mailed is the last account whose members' mails were queued.
	mailed id.ID
}

// Draft is a new announcement, or a change of one: nil keeps what there is.
type Draft struct {
	Title    *string    `json:"title,omitempty" minLength:"1" maxLength:"64" example:"Maintenance in Dallas" doc:"Title, one line."`
	Text     *string    `json:"text,omitempty" maxLength:"2000" format:"multiline" doc:"Plain text of up to 40 lines; empty by default."`
	Level    *Level     `json:"level,omitempty" doc:"How important it is; info by default."`
	StartsAt *time.Time `json:"startsAt,omitempty" doc:"Time from which it is shown and emailed; now by default."`
	EndsAt   *time.Time `json:"endsAt,omitempty" doc:"Time until which it is shown, up to a year after its start."`
	Provider *string    `json:"provider,omitempty" maxLength:"64" doc:"Slug of the provider at whose machines it is directed; empty, the default, for all accounts."`
	Region   *string    `json:"region,omitempty" maxLength:"64" doc:"Slug of a region of the provider; empty, the default, for all."`
	Banner   *bool      `json:"banner,omitempty" doc:"Whether the dashboard and the status page show it; true by default."`
	Mail     *bool      `json:"mail,omitempty" doc:"Whether it is emailed to members, once; false by default."`
}

// Empty reports whether the change changes nothing.
func (c Draft) Empty() bool { return c == Draft{} }

// Config is what a Service needs. Every field is required.
type Config struct {
	DB       *db.DB
	IDs      *id.Maker
	Catalog  *catalog.Catalog
	Accounts *account.Service
	// ProviderAccounts are the operator's accounts at providers.
	ProviderAccounts *provideraccount.Service
	Mail             *mail.Service
	Jobs             *job.Queue
}

// Service keeps announcements. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service. It panics when a field is missing.
func New(cfg Config) *Service {
	if cfg.DB == nil || cfg.IDs == nil || cfg.Catalog == nil || cfg.Accounts == nil || cfg.Mail == nil ||
		cfg.ProviderAccounts == nil || cfg.Jobs == nil {
		panic("announcement: New needs every field of its Config")
	}
	return &Service{cfg}
}

var errNone = apierr.New(apierr.NotFound, "No announcement has this id.")

// Create adds an announcement. It returns INVALID_REQUEST with every fault, and CONFLICT if there
// are too many that have not ended.
func (s *Service) Create(ctx context.Context, tx *db.Tx, c Draft) (Announcement, error) {
	n, err := countOpen(ctx, tx, tx.Now)
	if err != nil {
		return Announcement{}, err
	}
	if n >= maxOpen {
		return Announcement{}, apierr.New(apierr.Conflict,
			"%d announcements have not ended. Delete some of them first.", n)
	}
	a := Announcement{
		Notice: Notice{ID: s.cfg.IDs.New(id.Announcement), Level: Info, StartsAt: tx.Now},
		Banner: true, CreatedAt: tx.Now,
	}
	if a, err = s.changed(ctx, tx, a, c); err != nil {
		return Announcement{}, err
	}
	return a, announcements.Insert(ctx, tx, a)
}

// Update changes an announcement. Mails that were queued are not changed. It returns
// INVALID_REQUEST or NOT_FOUND.
func (s *Service) Update(ctx context.Context, tx *db.Tx, of id.ID, c Draft) (Announcement, error) {
	a, err := s.Get(ctx, tx, of)
	if err != nil {
		return Announcement{}, err
	}
	if a, err = s.changed(ctx, tx, a, c); err != nil {
		return Announcement{}, err
	}
	return a, put(ctx, tx, a)
}

// changed returns the announcement after the change, and enqueues its mails.
func (s *Service) changed(ctx context.Context, tx *db.Tx, a Announcement, c Draft) (Announcement, error) {
	before := a
	a = a.with(c)
	a.ChangedAt = tx.Now
	known, err := s.places(ctx, tx)
	if err != nil {
		return a, err
	}
	faults := a.check(before, known)
	if a.Mail {
		configured, err := s.cfg.Mail.Configured(ctx, tx)
		if err != nil {
			return a, err
		}
		if !configured {
			faults = append(faults, apierr.FieldError{
				Field: "mail", Message: "must be false until a mail server is set up in the settings.",
			})
		}
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return a, err
	}
	if !a.Mail || a.MailedAt != nil {
		return a, nil
	}
	return a, s.cfg.Jobs.Enqueue(ctx, tx, job.NoOwner, KindMail, a.ID, a.StartsAt)
}

// places returns the providers that an announcement can be for, with their regions: also those
// whose account cannot be opened, and those with machines whose account is gone.
func (s *Service) places(ctx context.Context, r db.Reader) (map[string][]string, error) {
	known, err := s.cfg.Catalog.Places(ctx, r)
	if err != nil {
		return nil, err
	}
	stored, err := s.cfg.ProviderAccounts.List(ctx, r)
	if err != nil {
		return nil, err
	}
	sells := map[string]bool{}
	for _, p := range stored {
		sells[p.Slug] = true
	}
	used, err := deployment.CountByProvider(ctx, r)
	for slug := range used {
		sells[slug] = true
	}
	for slug := range sells {
		known[slug] = append([]string{}, known[slug]...)
	}
	return known, err
}

// Get returns an announcement, or NOT_FOUND. In a transaction that writes it locks it.
func (s *Service) Get(ctx context.Context, r db.Reader, of id.ID) (Announcement, error) {
	a, found, err := find(ctx, r, of)
	if err == nil && !found {
		err = errNone
	}
	return a, err
}

// List returns a page of all announcements, newest first.
func (s *Service) List(ctx context.Context, r db.Reader, p db.Page) ([]Announcement, db.Listed, error) {
	return list(ctx, r, p)
}

// Delete deletes an announcement: it is no longer shown, and no longer mailed. It returns
// NOT_FOUND.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, of id.ID) (Announcement, error) {
	a, err := s.Get(ctx, tx, of)
	if err != nil {
		return a, err
	}
	if err := s.cfg.Jobs.Cancel(ctx, tx, KindMail, of); err != nil {
		return a, err
	}
	return a, remove(ctx, tx, of)
}

// Current returns what the account is shown at an instant: the most important first, then the
// newest.
func (s *Service) Current(ctx context.Context, r db.Reader, account id.ID, now time.Time) ([]Notice, error) {
	all, err := shown(ctx, r, now)
	if err != nil || len(all) == 0 {
		return []Notice{}, err
	}
	places, err := deployment.Places(ctx, r, account)
	if err != nil {
		return nil, err
	}
	return notices(all, func(a Announcement) bool {
		for _, p := range places {
			if p.Provider == a.Provider && (a.Region == "" || a.Region == p.Region) {
				return true
			}
		}
		return false
	}), nil
}

// ForEveryone is Current for announcements that are for all accounts.
func (s *Service) ForEveryone(ctx context.Context, r db.Reader, now time.Time) ([]Notice, error) {
	all, err := shown(ctx, r, now)
	return notices(all, func(Announcement) bool { return false }), err
}
