package webhook

import (
	"context"
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/webhook/outbound"
)

// The jobs of this package. The subject of KindSend is the endpoint, that of KindPurge is Fleet.
const (
	KindSend  job.Kind = "webhook"
	KindPurge job.Kind = "webhook-purge"
	Fleet     id.ID    = "webhooks"
)

const (
	// MaxPerAccount is the maximum number of endpoints of an account.
	MaxPerAccount = 10
	// MaxTypes is the maximum number of event types of an endpoint.
	MaxTypes = 50
	// MaxDescription is the maximum length of a description in characters.
	MaxDescription = 200
	// Overlap is how long a replaced secret still signs.
	Overlap = 24 * time.Hour
	// Patience is how long a delivery is tried.
	Patience = 72 * time.Hour
	// Kept is how long deliveries are stored.
	Kept = 30 * 24 * time.Hour
	// TypeTest is the type of the event that Test sends. It is not in the account's history.
	TypeTest = string(event.TypeTest)
)

// Status is the status of an endpoint.
type Status string

// The statuses.
const (
	Enabled  Status = "enabled"
	Disabled Status = "disabled"
	Paused   Status = "paused"
)

// Endpoint is a URL to which events are sent, without its secret.
type Endpoint struct {
	ID              id.ID           `json:"id" doc:"Webhook ID, whk_…."`
	Account         id.ID           `json:"-"`
	URL             string          `json:"url" doc:"URL to which events are sent."`
	Description     string          `json:"description" doc:"Description of the webhook."`
	Types           []string        `json:"types" doc:"Event types that are sent, such as deployment.running or deployment.*; empty for all."`
	Enabled         bool            `json:"enabled" doc:"Whether events are sent."`
	Status          Status          `json:"status" enum:"enabled,disabled,paused" doc:"enabled; disabled by you, or because the endpoint answered 410; paused because nothing was delivered for 72 hours."`
	StatusReason    *string         `json:"statusReason" doc:"Reason why nothing is sent; null for an enabled webhook and for one that you disabled."`
	FailingSince    *time.Time      `json:"failingSince" doc:"Time of the first failure after the last success; null if the last attempt succeeded or there was none."`
	LastDeliveredAt *time.Time      `json:"lastDeliveredAt" doc:"Time of the last delivery; null if there was none."`
	OldSecretUntil  *time.Time      `json:"oldSecretValidUntil" doc:"Time until which requests are also signed with the previous secret; null if they are not."`
	CreatedAt       time.Time       `json:"createdAt" doc:"Creation time. Events from then on are sent."`
	CreatedBy       creator.Creator `json:"createdBy" doc:"Who created the webhook."`
}

// DeliveryStatus is the status of a delivery.
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
	ID            id.ID          `json:"id" doc:"Delivery ID, whd_…."`
	Webhook       id.ID          `json:"webhookId" doc:"Webhook ID."`
	Event         id.ID          `json:"eventId" doc:"Event ID: the webhook-id header of every attempt."`
	Type          string         `json:"type" doc:"Event type."`
	Status        DeliveryStatus `json:"status" enum:"pending,delivered,failed" doc:"pending: it will be tried or retried; failed: it will not be retried."`
	Attempts      []Attempt      `json:"attempts" doc:"The newest 20 attempts, oldest first."`
	AttemptCount  int64          `json:"attemptCount" doc:"Number of attempts."`
	NextAttemptAt *time.Time     `json:"nextAttemptAt" doc:"Time of the next retry; null if there is none, or the first attempt is about to be made."`
	CreatedAt     time.Time      `json:"createdAt" doc:"Creation time, right after the event."`
}

// MaxAttempts is how many attempts of a delivery are stored.
const MaxAttempts = 20

// Attempt is one request.
type Attempt struct {
	At         time.Time `json:"at" doc:"Start time."`
	Status     *int64    `json:"status" doc:"HTTP status of the response; null if there was none."`
	DurationMS int64     `json:"durationMs" doc:"Duration in milliseconds."`
	Problem    *string   `json:"problem" doc:"Reason why there was no response; null if there was one."`
	Response   string    `json:"response" doc:"First 500 characters of the response, as plain text."`
}

// Config configures a Service. Every field is required.
type Config struct {
	DB  *db.DB
	IDs *id.Maker
	// Clock decides what is due. Real is the machine's own time, which is signed and measured:
	// receivers compare it with theirs.
	Clock   clock.Clock
	Real    func() time.Time
	Log     *slog.Logger
	Events  *event.Service
	Jobs    *job.Queue
	Secrets *secret.Box
	// Check returns what is wrong with a URL, or "". Post sends a request. They are methods of
	// outbound.Client.
	Check func(url string) string
	Post  func(ctx context.Context, url string, header map[string]string, body []byte) outbound.Response
	// Chance returns a number from 0 to 1, which spreads retries.
	Chance func() float64
}

// Service stores endpoints and sends events to them.
type Service struct {
	cfg     Config
	senders *senders
}

// New returns a Service, and registers it for new events.
func New(c Config) *Service {
	s := &Service{cfg: c, senders: newSenders()}
	c.Events.OnAppend(s.appended)
	return s
}

// appended enqueues a job for each endpoint of the accounts, in the transaction of their events.
func (s *Service) appended(ctx context.Context, tx *db.Tx, accounts []id.ID) error {
	of, err := enabledOf(ctx, tx, accounts)
	if err != nil {
		return err
	}
	for _, w := range of {
		if err := s.cfg.Jobs.Enqueue(ctx, tx, w.account, KindSend, w.id, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

// missing returns the error for something that does not exist, or belongs to another account.
func missing(what string) error { return apierr.New(apierr.NotFound, "There is no such %s.", what) }
