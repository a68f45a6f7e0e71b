package deployment

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Sample is a deployment as its account's monitoring sees it.
type Sample struct {
	ID          id.ID        `json:"id" doc:"Id of the deployment."`
	Name        string       `json:"name" doc:"Name of the deployment."`
	Status      Status       `json:"status" doc:"Status of the deployment."`
	Provider    string       `json:"provider" doc:"Slug of the provider."`
	Region      string       `json:"region" doc:"Slug of the region."`
	GPUType     string       `json:"gpuType" doc:"GPU type, such as NVIDIA B200."`
	GPUCount    int          `json:"gpuCount" doc:"Number of GPUs in the machine."`
	HourlyPrice money.Micros `json:"hourlyPrice" doc:"US dollars per hour."`
}

var samples = db.NewTable("deployment", func(s *Sample) []db.Column {
	return []db.Column{
		db.Col("id", &s.ID),
		db.Col("name", &s.Name),
		db.Col("status", &s.Status),
		db.Col("provider", &s.Provider),
		db.Col("region", &s.Region),
		db.Col("gpu_type", &s.GPUType),
		db.Col("gpu_count", &s.GPUCount),
		db.Col("hourly_price", &s.HourlyPrice),
	}
})

// Sampled are the statuses of samples.
var Sampled = append(append([]Status{}, Unended...), StatusTerminating)

// Samples returns up to limit of the account's deployments that have not ended, newest first.
func (s *Service) Samples(ctx context.Context, r db.Reader, account id.ID, limit int) ([]Sample, error) {
	return samples.Select(ctx, r, `WHERE account_id = $1 AND status IN ($2, $3, $4, $5, $6)
		ORDER BY id DESC LIMIT $7`, account, Sampled[0], Sampled[1], Sampled[2], Sampled[3], Sampled[4], limit)
}
