package volume

import (
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/wallet"
)

// KindVolume is the job that looks at one volume; its subject is the volume's id.
const KindVolume job.Kind = "volume"

// Status is where a volume is in its life.
type Status string

// The statuses. Failed and deleted are final.
const (
	StatusCreating  Status = "creating"
	StatusAvailable Status = "available"
	StatusAttaching Status = "attaching"
	StatusAttached  Status = "attached"
	StatusDetaching Status = "detaching"
	StatusDeleting  Status = "deleting"
	StatusDeleted   Status = "deleted"
	StatusFailed    Status = "failed"
)

// Volume is persistent storage as its tenant sees it.
type Volume struct {
	ID   id.ID  `json:"id" doc:"Id of the volume, vol_…."`
	Name string `json:"name" doc:"What it is called; unique in the account."`
	// SizeGB is in decimal GB (10⁹ bytes).
	SizeGB int64 `json:"sizeGb" doc:"Size in decimal GB."`
	// GrowingToGB is the size it will have; nil while it does not grow.
	GrowingToGB *int64 `json:"growingToGb" doc:"The size in decimal GB that it will have; null while it does not grow."`
	Provider    string `json:"provider" doc:"Slug of the provider."`
	Region      string `json:"region" doc:"Slug of the region; it can be attached to deployments there."`
	Status      Status `json:"status" doc:"Where it is in its life; failed and deleted are final."`
	// StatusReason says what went wrong with what was last wanted of it; nil where nothing did.
	StatusReason *string `json:"statusReason" doc:"What went wrong with what was last wanted of it; null where nothing did."`
	// AttachedTo is the deployment that has it, or that it is on its way to or from.
	AttachedTo *id.ID `json:"attachedTo" doc:"The deployment that has it, or that it is on its way to or from."`
	// MountPath is where its files are in the machine, while it is attached; or the NFS share that is to be mounted there, with its host before a colon.
	MountPath *string `json:"mountPath" doc:"Where its files are in the machine, while it is attached: a path, or, where the machine must mount it itself, the NFS share as host:/path; null where the provider says neither."`
	// HourlyPrice is SizeGB × HourlyPricePerGB.
	HourlyPrice      money.Micros `json:"hourlyPrice" doc:"US dollars an hour: sizeGb times hourlyPricePerGb."`
	HourlyPricePerGB money.Micros `json:"hourlyPricePerGb" doc:"US dollars an hour for one decimal GB, agreed when it was created."`
	CostToDate       money.Micros `json:"costToDate" doc:"US dollars charged so far, less refunds."`
	CreatedAt        time.Time    `json:"createdAt" doc:"When it was asked for."`
	DeletedAt        *time.Time   `json:"deletedAt" doc:"When it was deleted; null before."`
}

// Target is a deployment that a volume can be attached to.
type Target struct {
	Deployment       id.ID
	Provider, Region string
}

// Config is what a Service needs. Every field is required.
type Config struct {
	DB        *db.DB
	IDs       *id.Maker
	Clock     clock.Clock
	Log       *slog.Logger
	Catalog   *catalog.Catalog
	Meter     *meter.Service
	Wallet    *wallet.Ledger
	Providers *provider.Registry
	Events    *event.Service
	Issues    *issue.Service
	Jobs      *job.Queue
}

// Service is what can be done with volumes. It is safe for concurrent use.
type Service struct{ c Config }

// New returns a Service. It panics when a field is missing.
func New(c Config) *Service {
	if c.DB == nil || c.IDs == nil || c.Clock == nil || c.Log == nil || c.Catalog == nil || c.Meter == nil || c.Wallet == nil ||
		c.Providers == nil || c.Events == nil || c.Issues == nil || c.Jobs == nil {
		panic("volume: New needs every field of its Config")
	}
	return &Service{c}
}

// record is a row of the table volume.
type record struct {
	id, account          id.ID
	name                 string
	sizeGB, wantedGB     int64
	provider, region     string
	perGBHour            money.Micros
	costPerGB            money.Micros // what the provider asks for a GB and hour
	status               Status
	reason               string
	deployment           id.ID // or ""
	mountPath            string
	createdAt, since     time.Time
	availableAt, deleted *time.Time
	cleanUntil           *time.Time
	createAsked          *time.Time // when the provider was last asked to create it without an answer, where it needs time to settle
	changes              int64      // raised by every lock
}

func (r *record) hourly() money.Micros { return r.perGBHour.Times(r.sizeGB) }

func (r *record) hourlyCost() money.Micros { return r.costPerGB.Times(r.sizeGB) }

func (r *record) labels() wallet.Labels {
	return wallet.Labels{Provider: r.provider, Region: r.region, Name: r.name}
}

// held tells whether a deployment has the volume, or is about to, or about to lose it.
func (r *record) held() bool {
	return r.status == StatusAttaching || r.status == StatusAttached || r.status == StatusDetaching
}

func (r *record) volume(cost money.Micros) Volume {
	v := Volume{
		ID: r.id, Name: r.name, SizeGB: r.sizeGB, Provider: r.provider, Region: r.region, Status: r.status,
		HourlyPrice: r.hourly(), HourlyPricePerGB: r.perGBHour, CostToDate: cost, CreatedAt: r.createdAt, DeletedAt: r.deleted,
	}
	if r.wantedGB > r.sizeGB {
		v.GrowingToGB = &r.wantedGB
	}
	if r.reason != "" {
		v.StatusReason = &r.reason
	}
	if r.held() {
		v.AttachedTo = &r.deployment
	}
	if r.status == StatusAttached && r.mountPath != "" {
		v.MountPath = &r.mountPath
	}
	return v
}

func notFound(volume id.ID) error {
	return apierr.New(apierr.NotFound, "There is no volume %.40q; GET /volumes lists yours.", volume)
}
