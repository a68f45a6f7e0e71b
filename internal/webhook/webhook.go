package webhook

import (
	"context"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/webhook/outbound"
)

// The jobs of this room. The subject of KindSend is the endpoint, that of KindPurge is Fleet.
const (
	KindSend  job.Kind = "webhook"
	KindPurge job.Kind = "webhook-purge"
	Fleet     id.ID    = "webhooks"
)

const (
	// MaxPerAccount is how many endpoints an account may have.
	MaxPerAccount = 10
	// MaxTypes is how many types of events an endpoint may name.
	MaxTypes = 50
	// MaxDescription is the longest description, in characters.
	MaxDescription = 200
	// Overlap is how long a secret signs, too, after it was replaced.
	Overlap = 24 * time.Hour
	// Patience is how long a delivery is tried.
	Patience = 72 * time.Hour
	// Kept is how long deliveries are remembered.
	Kept = 30 * 24 * time.Hour
	// TypeTest is the type of what Test sends. It is no event of the account's log.
	TypeTest = string(event.TypeTest)
)

// Status tells whether an endpoint gets anything.
type Status string

// The statuses.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
	Paused   Status = "paused"
)

// Endpoint is an address to which events are sent, without its secret.
type Endpoint struct {
	ID          id.ID    `json:"id" doc:"Id of the webhook, whk_…"`
	Account     id.ID    `json:"-"`
	URL         string   `json:"url" doc:"Where events are sent."`
	Description string   `json:"description" doc:"What it is for."`
	Types       []string `json:"types" doc:"The types of events that are sent, such as deployment.running or deployment.*; all where there are none."`
	Enabled     bool     `json:"enabled" doc:"Whether events are sent."`
	Status      Status   `json:"status" enum:"enabled,disabled,paused" doc:"enabled; disabled by you, or because the address answered 410; paused because it took nothing for 72 hours."`
	// StatusReason is nil for an enabled endpoint and one that its tenant has disabled.
	StatusReason *string `json:"statusReason" doc:"Why nothing is sent, where that was not your wish; else null."`
	// FailingSince is the first failure after the last success.
	FailingSince    *time.Time `json:"failingSince" doc:"The first failure after the last success; null where the last attempt succeeded, and where there was none."`
	LastDeliveredAt *time.Time `json:"lastDeliveredAt" doc:"When something was last delivered; null for never."`
	OldSecretUntil  *time.Time `json:"oldSecretValidUntil" doc:"Until when requests are signed with the secret before this one, too; null where they are not."`
	CreatedAt       time.Time  `json:"createdAt" doc:"When it was made. Events from then on are sent."`
}

// DeliveryStatus is how far a delivery has come.
type DeliveryStatus string

// The statuses of deliveries.
const (
	Pending   DeliveryStatus = "pending"
	Delivered DeliveryStatus = "delivered"
	Failed    DeliveryStatus = "failed"
)

// Enum lists every status of a delivery.
func (DeliveryStatus) Enum() []DeliveryStatus { return []DeliveryStatus{Pending, Delivered, Failed} }

// Delivery is one event for one endpoint.
type Delivery struct {
	ID      id.ID          `json:"id" doc:"Id of the delivery, whd_…"`
	Webhook id.ID          `json:"webhookId" doc:"The webhook."`
	Event   id.ID          `json:"eventId" doc:"Id of the event: the header webhook-id of every attempt."`
	Type    string         `json:"type" doc:"Type of the event."`
	Status  DeliveryStatus `json:"status" enum:"pending,delivered,failed" doc:"pending: it will be tried (again); failed: it was given up."`
	// Attempts are in order, at most MaxAttempts of the newest.
	Attempts      []Attempt  `json:"attempts" doc:"What was tried, oldest first; the newest 20."`
	AttemptCount  int64      `json:"attemptCount" doc:"How often it was tried."`
	NextAttemptAt *time.Time `json:"nextAttemptAt" doc:"When it is tried next; null where it is not, or is tried at once."`
	CreatedAt     time.Time  `json:"createdAt" doc:"When it was made, right after the event."`
}

// MaxAttempts is how many attempts of a delivery are remembered.
const MaxAttempts = 20

// Attempt is one request.
type Attempt struct {
	At         time.Time `json:"at" doc:"When it began."`
	Status     *int64    `json:"status" doc:"HTTP status of the answer; null where there was none."`
	DurationMS int64     `json:"durationMs" doc:"How long it took, in milliseconds."`
	Problem    *string   `json:"problem" doc:"Why there was no answer; null where there was one."`
	Response   string    `json:"response" doc:"The beginning of the answer, as plain text; at most 500 characters."`
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Clock decides what is due; Real, the machine's own time, is what is signed and measured: receivers compare it with theirs.
	Clock   clock.Clock
	Real    func() time.Time
	Log     *slog.Logger
	Events  *event.Service
	Jobs    *job.Queue
	Secrets *secret.Box
	// Check says what is wrong with a URL, "" for nothing; Post sends. They are outbound.Client's.
	Check func(url string) string
	Post  func(ctx context.Context, url string, header map[string]string, body []byte) outbound.Response
	// Chance returns a number from 0 to 1, which sets retries apart.
	Chance func() float64
}

// Service keeps endpoints and sends to them.
type Service struct {
	c       Config
	lanes   *lanes
	decoded db.Decoded[[]string]
}

// New returns a Service, and has the log tell it of events. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Clock == nil || c.Real == nil || c.Log == nil || c.Events == nil || c.Jobs == nil || c.Secrets == nil ||
		c.Check == nil || c.Post == nil || c.Chance == nil {
		panic("webhook: New needs every field of its Config")
	}
	s := &Service{c: c, lanes: newLanes()}
	c.Events.OnAppend(s.appended)
	return s
}

// appended leaves a job behind for each endpoint of the accounts, in the transaction of their events.
func (s *Service) appended(ctx context.Context, tx *db.Tx, accounts []id.ID) error {
	of, err := enabledOf(ctx, tx, accounts)
	if err != nil {
		return err
	}
	for _, w := range of {
		if err := s.c.Jobs.Enqueue(ctx, tx, w.account, KindSend, w.id, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

// missing is for what is not there, or another account's.
func missing(what string) error { return apierr.New(apierr.NotFound, "There is no such %s.", what) }
