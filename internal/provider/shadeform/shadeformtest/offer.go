package shadeformtest

import (
	"net/http"
	"slices"
)

// kind is a machine type.
type kind struct {
	Cloud          string        `json:"cloud"`
	Type           string        `json:"shade_instance_type"`
	CloudType      string        `json:"cloud_instance_type"`
	Configuration  configuration `json:"configuration"`
	HourlyPrice    int           `json:"hourly_price"` // cents
	DeploymentType string        `json:"deployment_type"`
	Availability   []place       `json:"availability"`
	BootTime       *bootTime     `json:"boot_time,omitempty"`
}

type configuration struct {
	MemoryGB     int      `json:"memory_in_gb"`
	StorageGB    int      `json:"storage_in_gb"`
	VCPUs        int      `json:"vcpus"`
	GPUs         int      `json:"num_gpus"`
	GPUType      string   `json:"gpu_type"`
	Interconnect string   `json:"interconnect"`
	NVLink       *bool    `json:"nvlink,omitempty"`
	VRAMGB       int      `json:"vram_per_gpu_in_gb"`
	Manufacturer string   `json:"gpu_manufacturer"`
	Systems      []string `json:"os_options"`
	OS           string   `json:"os,omitempty"` // of a machine
}

type place struct {
	Region    string `json:"region"`
	Available bool   `json:"available"`
	Display   string `json:"display_name"`
	Rental    string `json:"rental_type,omitempty"`
}

type bootTime struct {
	Min int `json:"min_boot_in_sec"`
	Max int `json:"max_boot_in_sec"`
}

// kinds returns what the cloud sells: of each deployment type, some sold out, and one without a
// GPU.
func kinds() []kind {
	systems := []string{"ubuntu22.04_cuda12.2_shade_os", "ubuntu22.04_shade_os"}
	return []kind{
		{
			Cloud: "hyperstack", Type: "A6000", CloudType: "n3-RTX-A6000x1", HourlyPrice: 50, DeploymentType: "vm",
			Configuration: configuration{
				MemoryGB: 58, StorageGB: 100, VCPUs: 28, GPUs: 1, GPUType: "A6000", Interconnect: "pcie", VRAMGB: 48,
				Manufacturer: "nvidia", Systems: systems,
			},
			Availability: []place{
				{"canada-1", true, "Canada, Toronto", "on_demand"}, {"norway-1", false, "Norway, Oslo", "on_demand"},
				{"norway-1", true, "Norway, Oslo", "spot"},
			},
			BootTime: &bootTime{180, 300},
		},
		{
			Cloud: "excesssupply", Type: "H100_sxm5x8", CloudType: "bm-h100-8", HourlyPrice: 1899,
			DeploymentType: "baremetal",
			Configuration: configuration{
				MemoryGB: 2048, StorageGB: 30000, VCPUs: 192, GPUs: 8, GPUType: "H100", Interconnect: "sxm5",
				VRAMGB: 80, Manufacturer: "nvidia", Systems: systems[1:],
			},
			Availability: []place{{"us-dallas-1", true, "US, Dallas", ""}},
			BootTime:     &bootTime{900, 2400},
		},
		{
			Cloud: "denvr", Type: "A100_80Gx8", CloudType: "A100_80GB_PCIe_8x", HourlyPrice: 1040,
			DeploymentType: "baremetal",
			Configuration: configuration{
				MemoryGB: 940, StorageGB: 13500, VCPUs: 120, GPUs: 8, GPUType: "A100_80GB", Interconnect: "pcie",
				VRAMGB: 80, Manufacturer: "nvidia", Systems: systems,
			},
			Availability: []place{{"calgary-canada-2", false, "Canada, Calgary", ""}},
		},
		{
			Cloud: "runpod", Type: "RTX4090", CloudType: "RTX4090", HourlyPrice: 44, DeploymentType: "container",
			Configuration: configuration{
				MemoryGB: 40, StorageGB: 100, VCPUs: 8, GPUs: 1, GPUType: "RTX4090", Interconnect: "pcie", VRAMGB: 24,
				Manufacturer: "nvidia",
			},
			Availability: []place{{"romania-1", true, "Romania, Bucharest", "on_demand"}},
		},
		{
			Cloud: "hyperstack", Type: "cpu_8", CloudType: "n1-cpu-medium", HourlyPrice: 8, DeploymentType: "vm",
			Configuration: configuration{MemoryGB: 16, StorageGB: 100, VCPUs: 8, Systems: systems},
			Availability:  []place{{"canada-1", true, "Canada, Toronto", "on_demand"}},
		},
	}
}

func (c *Cloud) types(w http.ResponseWriter, _ *http.Request) {
	all := kinds()
	for i := range all {
		for j := range all[i].Availability {
			all[i].Availability[j].Available = all[i].Availability[j].Available && !c.NoCapacity
		}
	}
	write(w, map[string]any{"instance_types": all})
}

// sold returns the type, and whether it is sold and in stock in the region.
func sold(cloud, name, region string) (k kind, is, available bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.Cloud == cloud && k.Type == name })
	if i < 0 {
		return k, false, false
	}
	j := slices.IndexFunc(all[i].Availability, func(p place) bool { return p.Region == region && p.Rental != "spot" })
	return all[i], j >= 0, j >= 0 && all[i].Availability[j].Available
}
