from pahq.graph.nodes import INPUT, LOGITS, Edge, Receiver, ReceiverKind, Sender, SenderKind


def test_names_are_those_of_eap_ig():
    head, mlp = Sender(SenderKind.HEAD, 0, 1), Sender(SenderKind.MLP, 11)
    assert Edge(INPUT, Receiver(ReceiverKind.QUERY, 0, 0)).name == "input->a0.h0<q>"
    assert Edge(head, Receiver(ReceiverKind.MLP, 0)).name == "a0.h1->m0"
    assert Edge(mlp, LOGITS).name == "m11->logits"


def test_a_shared_key_head_has_a_name_of_its_own():
    receiver = Receiver(ReceiverKind.KEY, 3, 1, shared=True)
    assert receiver.name == "a3.kv1<k>"


def test_the_component_under_test_is_the_head_of_its_q_k_and_v():
    kinds = (ReceiverKind.QUERY, ReceiverKind.KEY, ReceiverKind.VALUE)
    assert {Receiver(kind, 2, 5).component for kind in kinds} == {"a2.h5"}
    assert LOGITS.component == "logits"
