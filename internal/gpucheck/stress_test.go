package gpucheck_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/gpucheck"
)

const s3, s4 = "h100-stress-dcgm3.txt", "b200-stress-dcgm4.txt"

// TestJudge_Stress: good machines pass at levels 2 and 3.
func TestJudge_Stress(t *testing.T) {
	for name, want := range map[string]gpucheck.Expected{s3: h100, s4: b200} {
		r := gpucheck.Judge([]byte(golden(t, name)), gpucheck.LevelMedium, want)
		if r.Verdict != gpucheck.Passed || without(r) != "" {
			t.Errorf("%s: %s %s\n%+v", name, r.Verdict, without(r), r.Checks)
		}
		checkReport(t, r)
	}
	// Without a single stress test, a machine does not pass at level 2.
	r := gpucheck.Judge([]byte(golden(t, h)), gpucheck.LevelMedium, h100)
	if r.Verdict != gpucheck.NotChecked {
		t.Errorf("got %s", r.Verdict)
	}
	checkReport(t, r)
	// Without a driver, what puts load on the GPUs fails, and says nothing.
	r = gpucheck.Judge([]byte("@begin drivers\n@end drivers 0\n@begin smi\n|NVIDIA-SMI has failed\n@end smi 9\n"+
		"@begin allreduce\n|Test CUDA failure common.cu:891 'no CUDA-capable device is detected'\n@end allreduce 1\n"+
		"@begin done\n@end done 0\n"), gpucheck.LevelMedium, h100)
	if v := verdicts(r); r.Verdict != gpucheck.NotChecked || v[gpucheck.CheckNCCL] != gpucheck.NotChecked {
		t.Errorf("without a driver: %s %s", r.Verdict, without(r))
	}
	checkReport(t, r)
}

const (
	gpu3      = "\"gpu_id\": \"3\",\n|        \"status\": \"Pass\""
	dcgmFail3 = `"gpu_id": "3", "status": "Fail", "warnings": "GPU 3 had uncorrectable memory errors."`
)

var stressFaults = []fault{
	{"DCGM 3 fails", s3, h100, gpu3, dcgmFail3, 0, "dcgm=failed",
		"failed", "DCGM found faults: PCIe on GPU 3 (GPU 3 had uncorrectable memory errors)."},
	{"DCGM 3 list of warnings", s3, h100, gpu3,
		`"gpu_ids": "3", "status": "FAIL", "warnings": ["hot"]`, 1, "dcgm=failed", "failed",
		"GPU Memory on GPU 3 (hot)."},
	{"DCGM 3 warns", s3, h100, "\"status\": \"Pass\"", "\"status\": \"Warn\"", 2, "dcgm=warning", "warning",
		"Persistence Mode"},
	{"DCGM 4 fails", s4, b200, "\"entity_id\": 5,\n|        \"status\": \"Pass\"",
		`"entity_id": 5, "status": "Fail", "warnings": [{"error_id": 1, "error_severity": 2, "warning": "bad"}]`, 1,
		"dcgm=failed", "failed", "memory on GPU 5 (bad)."},
	{"DCGM 4 setting", s4, b200, "\"entity_id\": 5,\n|        \"status\": \"Pass\"",
		`"entity_id": 5, "status": "Fail", "warnings": [{"error_severity": 5, "warning": "Persistence Mode"}]`, 0,
		"dcgm=warning", "warning", "software on GPU 5"},
	{"DCGM new status", s4, b200, "\"status\": \"Pass\"", "\"status\": \"Perhaps\"", 4, "dcgm=not_checked", "passed",
		"could not be read"},
	{"DCGM skips all", s4, b200, "\"status\": \"Pass\"", "\"status\": \"Skip\"", -1, "dcgm=not_checked", "passed",
		"skipped"},
	{"DCGM new key", s4, b200, "DCGM Diagnostic", "DCGM Check", 0, "", "passed", ""},
	{"DCGM without engine", s4, b200, "@begin dcgm\n", "@begin dcgm\n|Error: unable to connect to host engine.\n" +
		"@end dcgm 1\n@begin rest\n", 0, "dcgm=not_checked", "passed", "DCGM could not run: Error: unable to connect"},
	{"DCGM runtime error", s4, b200, "\"test_categories\": [", "\"runtime_error\": \"no GPU\", \"x\": [", 0,
		"dcgm=not_checked", "passed", "DCGM could not run: no GPU."},
	{"DCGM hangs", s3, h100, "@end dcgm 0", "@end dcgm 137", 0, "dcgm=failed", "failed", "did not end in time"},
	{"slow copies", s3, h100, "\"55.45\"", "\"24.10\"", 0, "nvbandwidth=failed", "failed",
		"host_to_device_memcpy of GPU 5 is 24 GB/s, usual are 55."},
	{"somewhat slow copies", s3, h100, "\"55.45\"", "\"39.10\"", 0, "nvbandwidth=warning", "warning", "39 GB/s"},
	{"slow link", s3, h100, "<max_link_gen>5", "<max_link_gen>6", -1, "nvbandwidth=warning pcie=passed", "warning",
		"its PCIe link could carry 121"},
	{"slow NVLink", s3, h100, "\"390.33\"", "\"38.00\"", 0, "nvbandwidth=failed", "failed",
		"device_to_device_memcpy_read of GPU 2 to GPU 3"},
	{"copy fails", s3, h100, "\"status\": \"Passed\"", "\"status\": \"Error\", \"error\": \"CUDA\"", 2,
		"nvbandwidth=failed", "failed", "device_to_device_memcpy_read failed: CUDA."},
	{"no memory for copies", s3, h100, "\"status\": \"Passed\"",
		"\"status\": \"Error\", \"error\": \"out of memory\"", 2,
		"nvbandwidth=not_checked", "passed", "programs use it"},
	{"no copies", s3, h100, "\"status\": \"Passed\"", "\"status\": \"Waived\"", -1, "nvbandwidth=not_checked", "passed",
		"could not run"},
	{"nvbandwidth hangs", s3, h100, "@end nvbandwidth 0", "@end nvbandwidth 137", 0, "nvbandwidth=failed",
		"failed", ""},
	{"wrong sums", s3, h100, "      0\n", "      3\n", 1, "nccl=failed", "failed", "wrong"},
	{"out of bounds", s3, h100, "values : 0 OK", "values : 8 FAILED", 0, "nccl=failed", "failed", "wrong"},
	{"few GPUs in sums", s3, h100, "#  Rank  7", "#", 0, "nccl=warning", "warning", "Only 7 of 8 GPUs"},
	{"NCCL fails", s4, b200, "@begin allreduce\n", "@begin allreduce\n|x: Test NCCL failure common.cu:1\n", 0,
		"nccl=failed", "failed", ""},
	{"no memory for sums", s4, b200, "@begin allreduce\n",
		"@begin allreduce\n|x: Test CUDA failure 'out of memory'\n", 0,
		"nccl=not_checked", "passed", "programs use it"},
	{"NCCL cut", s4, b200, "|# Out of bounds values : 0 OK\n", "", 0, "nccl=not_checked", "passed", ""},
	{"NCCL hangs", s4, b200, "@end allreduce 0", "@end allreduce 137", 0, "nccl=failed", "failed", ""},
}

// TestJudge_StressFaults: each fault gives exactly its verdict, and changes no other check.
func TestJudge_StressFaults(t *testing.T) { testFaults(t, gpucheck.LevelMedium, stressFaults) }

// TestJudge_SlowSums: eight GPUs that exchange data by PCIe.
func TestJudge_SlowSums(t *testing.T) {
	for gbps, want := range map[string]gpucheck.Verdict{
		"400.00": gpucheck.Passed, "250.00": gpucheck.Warning, "40.00": gpucheck.Failed,
	} {
		text := golden(t, s3)
		begin := strings.Index(text, "@begin allreduce")
		rows := "|  8589934592 2147483648 float sum -1 1.0 1.0 " + gbps + " 0 1.0 1.0 1.0 0\n"
		text = text[:begin] + "@begin allreduce\n" + rows + "|# Out of bounds values : 0 OK\n@end allreduce 0\n" +
			"@begin done\n@end done 0\n"
		r := gpucheck.Judge([]byte(text), gpucheck.LevelMedium, h100)
		if got := verdicts(r)[gpucheck.CheckNCCL]; got != want {
			t.Errorf("%s GB/s: got %s, want %s", gbps, got, want)
		}
	}
}
