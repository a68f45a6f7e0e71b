package volume

import (
	"log/slog"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/creator"
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

// The kinds of this package's jobs.
const (
	KindVolume job.Kind = "volume"       // reconciles one volume
	KindWatch  job.Kind = "volume-watch" // compares all volumes of one provider
)

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

// Enum lists every status.
func (Status) Enum() []Status {
	return []Status{
		StatusCreating, StatusAvailable, StatusAttaching, StatusAttached, StatusDetaching, StatusDeleting,
		StatusDeleted, StatusFailed,
	}
}

// Volume is persistent storage as its tenant sees it.
type Volume struct {
	ID   id.ID  `json:"id" doc:"Id of the volume, vol_…."`
	Name string `json:"name" doc:"Name of the volume, unique in the account."`
	// SizeGB is in decimal GB (10⁹ bytes).
	SizeGB       int64   `json:"sizeGb" doc:"Size in decimal GB."`
	GrowingToGB  *int64  `json:"growingToGb" doc:"Size in decimal GB that the volume is growing to; null if it is not growing."`
	Provider     string  `json:"provider" doc:"Slug of the provider."`
	Region       string  `json:"region" doc:"Slug of the region. The volume can be attached to deployments in it."`
	Status       Status  `json:"status" doc:"Status of the volume; failed and deleted are final."`
	StatusReason *string `json:"statusReason" doc:"Why the last change failed; null if it did not."`
	// AttachedTo is set from attaching through detaching.
	AttachedTo *id.ID `json:"attachedTo" doc:"Id of the deployment that it is attached to, attaching to or detaching from."`
	// MountPath is where its files are in the machine; or the NFS share to mount there, with its
	// host before a colon.
	MountPath        *string         `json:"mountPath" doc:"Path of the files in the machine while the volume is attached; or the NFS share to mount, as host:/path. null if the provider states neither."`
	HourlyPrice      money.Micros    `json:"hourlyPrice" doc:"US dollars per hour: sizeGb times hourlyPricePerGb."`
	HourlyPricePerGB money.Micros    `json:"hourlyPricePerGb" doc:"US dollars per hour for one decimal GB, agreed when the volume was created."`
	Project          *string         `json:"project" doc:"Project of the volume; null for none."`
	CreatedBy        creator.Creator `json:"createdBy" doc:"Who created the volume."`
	CostToDate       money.Micros    `json:"costToDate" doc:"US dollars charged so far, net of refunds."`
	CreatedAt        time.Time       `json:"createdAt" doc:"When the volume was created."`
	DeletedAt        *time.Time      `json:"deletedAt" doc:"When the volume was deleted; null before."`
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

// Service owns the volumes. It is safe for concurrent use.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// record is a volume as the database keeps it: a field for each column, under the column's name.
type record struct {
	id               id.ID
	account          id.ID
	name             string
	sizeGB           int64 // what exists and is paid for
	wantedSizeGB     int64 // more than sizeGB while it grows
	provider         string
	region           string
	hourlyPricePerGB money.Micros // what the tenant pays
	hourlyCostPerGB  money.Micros // what the provider asks
	status           Status
	reason           string
	deployment       id.ID // or ""
	mountPath        string
	createdAt        time.Time
	statusSince      time.Time
	availableAt      *time.Time
	deletedAt        *time.Time
	cleanUntil       *time.Time
	createAskedAt    *time.Time // the last create without an answer, at a provider that needs time to settle
	project          string     // "" for none
	createdBy        creator.Creator
	changes          int64 // incremented by every lock
}

func (r *record) hourlyPrice() money.Micros { return r.hourlyPricePerGB.Times(r.sizeGB) }

func (r *record) hourlyCost() money.Micros { return r.hourlyCostPerGB.Times(r.sizeGB) }

func (r *record) labels() wallet.Labels {
	return wallet.Labels{Provider: r.provider, Region: r.region, Name: r.name}
}

// billed is what usage is grouped by beside the labels.
func (r *record) billed() wallet.Subject {
	return wallet.Subject{ID: r.id, Account: r.account, Project: r.project, CreatedBy: r.createdBy}
}

// held reports whether the volume is attached to a deployment, attaching or detaching.
func (r *record) held() bool {
	return r.status == StatusAttaching || r.status == StatusAttached || r.status == StatusDetaching
}

// ended reports whether the volume is being deleted or its status is final.
func (r *record) ended() bool {
	return r.status == StatusDeleting || r.status == StatusDeleted || r.status == StatusFailed
}

// view returns the volume as the API shows it.
func (r *record) view(cost money.Micros) Volume {
	v := Volume{
		ID: r.id, Name: r.name, SizeGB: r.sizeGB, Provider: r.provider, Region: r.region, Status: r.status,
		HourlyPrice: r.hourlyPrice(), HourlyPricePerGB: r.hourlyPricePerGB, CostToDate: cost,
		CreatedAt: r.createdAt, DeletedAt: r.deletedAt, CreatedBy: r.createdBy,
	}
	if r.project != "" {
		v.Project = &r.project
	}
	if r.wantedSizeGB > r.sizeGB {
		v.GrowingToGB = &r.wantedSizeGB
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
	return apierr.New(apierr.NotFound, "No volume has the id %.40q. List yours with GET /volumes.", volume)
}
