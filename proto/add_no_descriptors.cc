// Descriptors are added where they are asked for first (GetDescriptor(), GetReflection()). Adding
// all of them whenever a program starts is for who looks for messages by name, and takes a tenth of
// the start of ours: libprotobuf's own, which it would parse then, are as large as ours.
//
// So the linker (--wrap) has this called instead of the constructor that adds them, which protoc
// has every source call.

namespace google::protobuf::internal {

struct AddDescriptorsRunner;
struct DescriptorTable;

extern "C" void
__wrap__ZN6google8protobuf8internal20AddDescriptorsRunnerC1EPKNS1_15DescriptorTableE(
    AddDescriptorsRunner* /*self*/, const DescriptorTable* /*table*/) {}

}  // namespace google::protobuf::internal
